package main

import (
	"archive/zip"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"webhookrelay/infra/measure"
)

// functionNames are the Lambda functions; bare is what they stand beside.
var functionNames = []string{"ingest", "dispatcher", "api", "sweeper", "source"}

const bare = "bare"

// floorName is the program that makes the functions' calls and does nothing else.
const floorName = "floor"

// planVariable tells it by which calls.
const planVariable = "BENCH_FLOOR_PLAN"

// functionResults are what the deployed binaries weigh and how fast they start.
type functionResults struct {
	Sizes []functionSize `json:"sizes"`
	// Starts are from exec to the first request for work, in ms.
	Starts []measure.Comparison `json:"starts,omitempty"`
	// NotMeasured says why there are no starts.
	NotMeasured string `json:"starts_not_measured,omitempty"`
}

type functionSize struct {
	Name         string  `json:"name"`
	Architecture string  `json:"architecture"`
	BinaryMiB    float64 `json:"binary_mib"`
	ZippedMiB    float64 `json:"zipped_mib"`
}

func (f *functionResults) print() {
	fmt.Print("Lambda functions, built as they are deployed\n\n")
	var rows [][]string
	for _, s := range f.Sizes {
		rows = append(rows, []string{s.Name, s.Architecture, measure.Show(s.BinaryMiB), measure.Show(s.ZippedMiB)})
	}
	measure.Table([]string{"function", "for", "binary, MiB", "zipped, MiB"}, rows)
	if f.NotMeasured != "" {
		fmt.Printf("starts: not measured: %s\n\n", f.NotMeasured)
		return
	}
	rows = nil
	for _, s := range f.Starts {
		rows = append(rows, s.Row())
	}
	measure.Table([]string{"exec to first request for work", "unit", "function", "bare function", "function ÷ bare"}, rows)
}

func measureFunctions(work string, s settings) (*functionResults, error) {
	results := &functionResults{}
	architectures := []string{"arm64"}
	if runtime.GOARCH != "arm64" {
		architectures = append(architectures, runtime.GOARCH)
	}
	for _, architecture := range architectures {
		for _, name := range append([]string{bare, floorName}, functionNames...) {
			binary, err := buildFunction(work, name, architecture)
			if err != nil {
				return nil, err
			}
			size, err := sizeOf(binary)
			if err != nil {
				return nil, err
			}
			size.Name, size.Architecture = name, architecture
			results.Sizes = append(results.Sizes, size)
		}
	}
	if runtime.GOOS != "linux" {
		results.NotMeasured = "the binaries run on Linux, this is " + runtime.GOOS
		return results, nil
	}
	var err error
	results.Starts, err = measureStarts(work, s.FunctionStarts)
	return results, err
}

func functionBinary(work, name, architecture string) string {
	return filepath.Join(work, name+"-"+architecture)
}

// buildFunction builds a function as the Makefile has sam do it.
func buildFunction(work, name, architecture string) (string, error) {
	source := "webhookrelay/functions/" + name
	if name == bare || name == floorName {
		source = "webhookrelay/infra/bench/" + name
	}
	binary, err := filepath.Abs(functionBinary(work, name, architecture))
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", binary, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return binary, nil
}

func sizeOf(binary string) (functionSize, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return functionSize{}, err
	}
	var zipped counter
	archive := zip.NewWriter(&zipped)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.DefaultCompression)
	})
	entry, err := archive.Create("bootstrap")
	if err != nil {
		return functionSize{}, err
	}
	_, err = entry.Write(content)
	if err = errors.Join(err, archive.Close()); err != nil {
		return functionSize{}, err
	}
	const mib = 1 << 20
	return functionSize{BinaryMiB: measure.Round4(float64(len(content)) / mib), ZippedMiB: measure.Round4(float64(zipped) / mib)}, nil
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// region is what the functions are told; nothing outside this machine is called.
const region = "us-east-1"

// functionEnvironment is what all functions need to start.
func functionEnvironment(awsURL, table, queueURL, secretsKey string) []string {
	return []string{
		"AWS_REGION=" + region, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_ENDPOINT_URL=" + awsURL,
		"RELAY_STACK=bench", "RELAY_TABLE=" + table, "RELAY_QUEUE_URL=" + queueURL,
		"RELAY_DLQ_URL=" + queueURL + "-dead", "RELAY_DLQ_ARN=arn:aws:sqs:" + region + ":000000000000:dead",
		"RELAY_ADMIN_KEY_SHA256=" + measure.AdminDigest, "RELAY_SECRETS_KEY=" + secretsKey, "RELAY_ALLOW_CIDRS=127.0.0.0/8", "RELAY_ALLOW_PORTS=1-65535", "RELAY_RETRY_SCHEDULE=1s", "RELAY_SOURCE_TENANT=" + tenantID,
	}
}

// measureStarts starts all of them in turn, over and over; and the floor, which
// has the clients of DynamoDB and SQS and nothing else. The first time each is read
// from disk, and is not counted.
func measureStarts(work string, times int) ([]measure.Comparison, error) {
	plan := filepath.Join(work, "no-plan.json")
	if err := os.WriteFile(plan, []byte("{}"), 0o600); err != nil {
		return nil, err
	}
	environment := functionEnvironment("http://127.0.0.1:9", "bench", "http://127.0.0.1:9/queue", "arn:aws:kms:"+region+":000000000000:key/bench")
	environment = append(environment, planVariable+"="+plan)
	names := append([]string{floorName}, functionNames...)
	took := map[string][]float64{}
	for i := range times + 1 {
		for _, name := range append([]string{bare}, names...) {
			binary, err := filepath.Abs(functionBinary(work, name, runtime.GOARCH))
			if err != nil {
				return nil, err
			}
			f, start, err := launch(binary, environment...)
			if err != nil {
				return nil, fmt.Errorf("start %s: %w", name, err)
			}
			f.stop()
			if i > 0 {
				took[name] = append(took[name], measure.Milliseconds(start))
			}
		}
	}
	var starts []measure.Comparison
	for _, name := range names {
		starts = append(starts, measure.Compare(name, "ms", took[name], slices.Clone(took[bare])))
	}
	return starts, nil
}
