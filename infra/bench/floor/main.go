// Command floor is a Lambda function that makes calls to AWS and posts to an
// endpoint as it is told, and does nothing else: what the bench compares the
// processor time of the relay's functions with. It has their SDK and their HTTP clients.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"golang.org/x/sync/errgroup"

	"webhookrelay/shared/awsenv"
)

// plan is what each invocation does.
type plan struct {
	// Calls are made in this order, those of one operation in a row side by side.
	Calls []recorded `json:"calls"`
	// Posts are made each before a PutItem.
	Posts []post `json:"posts"`
}

type post struct {
	URL    string      `json:"url"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

// sideBySide is how many calls or posts are made at once.
const sideBySide = 8

func main() {
	f, err := load()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if len(f.plan.Posts) > 0 {
		lambda.Start(func(ctx context.Context, _ events.SQSEvent) (events.SQSEventResponse, error) {
			return events.SQSEventResponse{}, f.run(ctx)
		})
		return
	}
	lambda.Start(func(ctx context.Context, _ events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		return events.APIGatewayProxyResponse{StatusCode: http.StatusAccepted, Body: "{}"}, f.run(ctx)
	})
}

type floor struct {
	plan  plan
	steps [][]call
	http  *http.Client
}

func load() (*floor, error) {
	raw, err := os.ReadFile(os.Getenv("BENCH_FLOOR_PLAN"))
	if err != nil {
		return nil, err
	}
	f := &floor{http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: sideBySide, DisableCompression: true}}}
	if err := json.Unmarshal(raw, &f.plan); err != nil {
		return nil, err
	}
	config, err := awsenv.Config()
	if err != nil {
		return nil, err
	}
	f.steps, err = newServices(config).steps(f.plan.Calls)
	return f, err
}

func (f *floor) run(ctx context.Context) error {
	posts := f.plan.Posts
	for _, step := range f.steps {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(sideBySide)
		for _, call := range step {
			var before *post
			if call.operation == "PutItem" && len(posts) > 0 {
				before, posts = &posts[0], posts[1:]
			}
			group.Go(func() error {
				if before != nil {
					if err := f.post(ctx, before); err != nil {
						return err
					}
				}
				return call.make(ctx)
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func (f *floor) post(ctx context.Context, p *post) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(p.Body))
	if err != nil {
		return err
	}
	request.Header = p.Header
	response, err := f.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s", response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
