// Command bare is a Lambda function that does nothing: what the bench compares
// the start of the relay's functions with.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(context.Context) error { return nil })
}
