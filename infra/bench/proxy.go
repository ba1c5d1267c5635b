package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// tally counts requests to AWS, by who made them.
type tally struct {
	mu         sync.Mutex
	requests   map[string]int // by "caller service.Operation"
	readUnits  float64
	writeUnits float64
	errors     int
}

// taken is what a tally held at some moment.
type taken struct {
	requests   map[string]int
	readUnits  float64
	writeUnits float64
	errors     int
}

// take returns what was counted since the last take.
func (t *tally) take() taken {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := taken{maps.Clone(t.requests), t.readUnits, t.writeUnits, t.errors}
	t.requests, t.readUnits, t.writeUnits, t.errors = map[string]int{}, 0, 0, 0
	return was
}

// reads are the DynamoDB operations billed in read units; all others write.
var reads = map[string]bool{"GetItem": true, "BatchGetItem": true, "Query": true, "Scan": true, "TransactGetItems": true}

const dynamoTarget = "DynamoDB_20120810."

// proxy stands between one caller and an emulator of AWS. It counts each
// request in t, asks DynamoDB to say what the request consumed, and adds that
// up. It changes a signed body, so it works with an emulator only.
func proxy(endpoint, caller string, t *tally) (address string, server *http.Server, err error) {
	upstream, err := url.Parse(endpoint)
	if err != nil || upstream.Host == "" {
		return "", nil, fmt.Errorf("%s is %q, not an address such as http://127.0.0.1:4566", endpointVariable, endpoint)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
		ModifyResponse: func(r *http.Response) error {
			return t.count(caller, r)
		},
	}
	server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("X-Amz-Target"), dynamoTarget) {
			if err := askForConsumption(r); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		forward.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }() // ends when it is closed
	return "http://" + listener.Addr().String(), server, nil
}

func askForConsumption(r *http.Request) error {
	var body map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return err
	}
	body["ReturnConsumedCapacity"] = json.RawMessage(`"TOTAL"`)
	changed, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(changed)), int64(len(changed))
	r.Header.Set("Content-Length", strconv.Itoa(len(changed)))
	return nil
}

// count notes one answered request.
func (t *tally) count(caller string, r *http.Response) error {
	target := r.Request.Header.Get("X-Amz-Target")
	service, operation, _ := strings.Cut(target, ".")
	service = map[string]string{"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs", "TrentService": "kms"}[service]
	if service == "" {
		return fmt.Errorf("unknown request %q to AWS", target)
	}
	units := 0.0
	if service == "dynamodb" && r.StatusCode == http.StatusOK {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if units, err = consumed(body); err != nil {
			return fmt.Errorf("%s: %w", operation, err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests[caller+" "+service+"."+operation]++
	if reads[operation] {
		t.readUnits += units
	} else {
		t.writeUnits += units
	}
	if r.StatusCode != http.StatusOK {
		t.errors++
	}
	return nil
}

// consumed reads the capacity units out of a reply: one statement of them, or
// one per table for batches and transactions.
func consumed(body []byte) (float64, error) {
	type statement struct{ CapacityUnits float64 }
	var single struct{ ConsumedCapacity *statement }
	if err := json.Unmarshal(body, &single); err == nil && single.ConsumedCapacity != nil {
		return single.ConsumedCapacity.CapacityUnits, nil
	}
	var several struct{ ConsumedCapacity []statement }
	if err := json.Unmarshal(body, &several); err != nil || len(several.ConsumedCapacity) == 0 {
		return 0, fmt.Errorf("the reply states no consumed capacity: %.200s", body)
	}
	total := 0.0
	for _, s := range several.ConsumedCapacity {
		total += s.CapacityUnits
	}
	return total, nil
}
