package cost

import "strings"

// SQS is the number of requests to SQS, those of Lambda's event source mapping included.
func (w Work) SQS() int { return w.count("sqs") }

// DynamoDB is the number of requests to DynamoDB.
func (w Work) DynamoDB() int { return w.count("dynamodb") }

func (w Work) count(service string) (n int) {
	for call, times := range w.Requests {
		if _, operation, _ := strings.Cut(call, " "); strings.HasPrefix(operation, service+".") {
			n += times
		}
	}
	return n
}
