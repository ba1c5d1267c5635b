// Package awsenv makes the AWS configuration of a Lambda function from its
// environment variables alone. The SDK's own config module also looks for
// profiles, SSO and instance metadata; a function needs none of that, and the
// look-ups and their code lengthen every cold start.
package awsenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

const (
	// maxAttempts and the backoff are the SDK's own defaults for DynamoDB. All
	// attempts with their waits must end well within a function's timeout.
	maxAttempts = 4
	baseDelay   = 25 * time.Millisecond
	maxBackoff  = 2 * time.Second

	// connectTimeout is short because DynamoDB, SQS and KMS are in the same region:
	// a connection that takes longer goes to a lost host, and a new one helps.
	connectTimeout = 2 * time.Second

	// headerTimeout frees a request from a connection that died while Lambda
	// had the process frozen. The services answer within tens of
	// milliseconds, and the relay never long-polls.
	headerTimeout = 5 * time.Second

	// idlePerHost keeps a connection for each request of a batch; with the
	// standard library's 2, a batch of deliveries would open and close most of
	// its connections, a TLS handshake each.
	idlePerHost = 64
)

// Config returns the configuration that Lambda's environment describes:
// AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which must be set,
// AWS_SESSION_TOKEN, which Lambda always sets but emulators need not, and
// AWS_ENDPOINT_URL, which sends every call to an emulator. (Lambda developer
// guide, "Defined runtime environment variables".) The error names everything
// that is missing or wrong. Config reads no file and makes no call; Lambda
// replaces the process before its credentials expire, so they are read once.
func Config() (aws.Config, error) {
	var faults []error
	required := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			faults = append(faults, fmt.Errorf("environment variable %s is not set", name))
		}
		return value
	}
	region := required("AWS_REGION")
	credentials := aws.Credentials{
		AccessKeyID:     required("AWS_ACCESS_KEY_ID"),
		SecretAccessKey: required("AWS_SECRET_ACCESS_KEY"),
		SessionToken:    os.Getenv("AWS_SESSION_TOKEN"),
		Source:          "environment",
	}
	endpoint, err := endpointURL()
	if err := errors.Join(append(faults, err)...); err != nil {
		return aws.Config{}, err
	}
	return aws.Config{
		Region: region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return credentials, nil
		}),
		BaseEndpoint: endpoint,
		HTTPClient:   client(),
		Retryer:      retryer,
	}, nil
}

func endpointURL() (*string, error) {
	text := os.Getenv("AWS_ENDPOINT_URL")
	if text == "" {
		return nil, nil
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return nil, fmt.Errorf("environment variable AWS_ENDPOINT_URL is %q, not an address such as http://127.0.0.1:4566", text)
	}
	return &text, nil
}

// retryer returns a new one per client, so that failing calls to one service
// do not spend the retry tokens of the other.
func retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.BaseDelay = baseDelay
		o.MaxBackoff = maxBackoff
	})
}

func client() aws.HTTPClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = 2 * idlePerHost
			t.MaxIdleConnsPerHost = idlePerHost
			t.TLSHandshakeTimeout = connectTimeout
			t.ResponseHeaderTimeout = headerTimeout
		})
}
