package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
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
	// absentUnits are read units for rows that were not there, which the emulator
	// leaves out of what it states.
	absentUnits float64
	errors      int
}

// taken is what a tally held at some moment.
type taken struct {
	requests   map[string]int
	readUnits  float64
	writeUnits float64
	// absentUnits: see tally.
	absentUnits float64
	errors      int
}

// take returns what was counted since the last take.
func (t *tally) take() taken {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := taken{maps.Clone(t.requests), t.readUnits, t.writeUnits, t.absentUnits, t.errors}
	t.requests, t.readUnits, t.writeUnits, t.absentUnits, t.errors = map[string]int{}, 0, 0, 0, 0
	return was
}

// note counts a request that no proxy saw.
func (t *tally) note(call string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests[call]++
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
			asked, err := askForConsumption(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			r = r.WithContext(context.WithValue(r.Context(), askedKey{}, asked))
		}
		forward.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }() // ends when it is closed
	return "http://" + listener.Addr().String(), server, nil
}

// askedKey is under which a request's context holds the asked of it.
type askedKey struct{}

// asked is what a read asks for: how many rows, and how consistently.
type asked struct{ consistent, eventual int }

func askForConsumption(r *http.Request) (asked, error) {
	var body map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return asked{}, err
	}
	body["ReturnConsumedCapacity"] = json.RawMessage(`"TOTAL"`)
	changed, err := json.Marshal(body)
	if err != nil {
		return asked{}, err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(changed)), int64(len(changed))
	r.Header.Set("Content-Length", strconv.Itoa(len(changed)))
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return rowsAsked(operation, changed)
}

// rowsAsked counts the rows that a GetItem or BatchGetItem names; for a Query it is one.
func rowsAsked(operation string, body []byte) (a asked, err error) {
	type keys struct {
		Keys           []json.RawMessage
		ConsistentRead bool
	}
	var request struct {
		ConsistentRead bool
		RequestItems   map[string]keys
	}
	if operation != "GetItem" && operation != "BatchGetItem" && operation != "Query" {
		return asked{}, nil
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return asked{}, err
	}
	all := []keys{{make([]json.RawMessage, 1), request.ConsistentRead}}
	if operation == "BatchGetItem" {
		all = slices.Collect(maps.Values(request.RequestItems))
	}
	for _, k := range all {
		if k.ConsistentRead {
			a.consistent += len(k.Keys)
		} else {
			a.eventual += len(k.Keys)
		}
	}
	return a, nil
}

// absent returns what AWS bills for the rows that a reply does not hold: the
// least that a read can cost (DynamoDB Developer Guide, "DynamoDB read and write
// operations"). DynamoDB Local bills nothing for them.
func (a asked) absent(reply []byte) float64 {
	var got struct {
		Item      json.RawMessage
		Items     []json.RawMessage
		Responses map[string][]json.RawMessage
	}
	if json.Unmarshal(reply, &got) != nil {
		return 0 // consumed reports it
	}
	found := 0
	if got.Item != nil || len(got.Items) > 0 {
		found = 1
	}
	for _, rows := range got.Responses {
		found += len(rows)
	}
	if a.consistent > 0 {
		return float64(a.consistent + a.eventual - found)
	}
	return float64(a.eventual-found) / 2
}

// count notes one answered request.
func (t *tally) count(caller string, r *http.Response) error {
	target := r.Request.Header.Get("X-Amz-Target")
	service, operation, _ := strings.Cut(target, ".")
	service = map[string]string{"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs", "TrentService": "kms"}[service]
	if service == "" {
		return fmt.Errorf("unknown request %q to AWS", target)
	}
	var units, missing float64
	if service == "dynamodb" && r.StatusCode == http.StatusOK {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if units, err = consumed(body); err != nil {
			return fmt.Errorf("%s: %w", operation, err)
		}
		if a, ok := r.Request.Context().Value(askedKey{}).(asked); ok {
			missing = a.absent(body)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests[caller+" "+service+"."+operation]++
	if reads[operation] {
		t.readUnits += units
		t.absentUnits += missing
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
