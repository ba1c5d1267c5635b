package main

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"webhookrelay/infra/cost"
)

// stub stands in for DynamoDB, SQS and KMS where their answers are wanted at once,
// or after a given time. It keeps the rows that are put and the messages that are
// sent, and looks at no condition. It is not an emulator: the calls of ingest
// and dispatcher on their usual way are all it knows.
type stub struct {
	url    string
	server *http.Server

	mu       sync.Mutex
	rows     map[rowKey]json.RawMessage
	messages []string
	// latency is how long each answer takes; nil: none does.
	latency *cost.Assumptions
	// calls are noted while they are recorded.
	recording bool
	calls     []recordedCall
}

type rowKey struct{ pk, sk string }

// recordedCall is one request to AWS as it was made; infra/bench/floor makes it again.
type recordedCall struct {
	Target string          `json:"target"`
	Body   json.RawMessage `json:"body"`
}

func newStub() (*stub, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &stub{url: "http://" + listener.Addr().String(), rows: map[rowKey]json.RawMessage{}}
	s.server = &http.Server{Handler: s}
	go func() { _ = s.server.Serve(listener) }() // ends when it is closed
	return s, nil
}

func (s *stub) close() { _ = s.server.Close() }

// record returns the calls that do makes.
func (s *stub) record(do func() error) ([]recordedCall, error) {
	s.mu.Lock()
	s.recording, s.calls = true, nil
	s.mu.Unlock()
	err := do()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recording = false
	return s.calls, err
}

// take hands out the n oldest messages.
func (s *stub) take(n int) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.messages) < n {
		return nil, fmt.Errorf("%d messages were sent, %d are needed", len(s.messages), n)
	}
	taken := s.messages[:n]
	s.messages = s.messages[n:]
	return taken, nil
}

// takeLast hands out the n newest messages.
func (s *stub) takeLast(n int) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.messages) < n {
		return nil, fmt.Errorf("%d messages were sent, %d are needed", len(s.messages), n)
	}
	from := len(s.messages) - n
	taken := slices.Clone(s.messages[from:])
	s.messages = s.messages[:from]
	return taken, nil
}

// waiting is how many messages there are.
func (s *stub) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.messages)
}

// forget drops the messages that wait: the floor sends the same ones over and over.
func (s *stub) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = nil
}

func (s *stub) setLatency(a *cost.Assumptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency = a
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	target := r.Header.Get("X-Amz-Target")
	answer, wait, err := s.handle(target, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotImplemented)
		return
	}
	time.Sleep(wait)
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	_, _ = w.Write(answer) // whoever asked notices
}

// handle answers a request, and says after how long.
func (s *stub) handle(target string, body []byte) (answer []byte, wait time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recording {
		s.calls = append(s.calls, recordedCall{target, body})
	}
	out, err := s.answer(target, body)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", target, err)
	}
	answer, err = json.Marshal(out)
	if s.latency == nil {
		return answer, 0, err
	}
	ms := s.latency.QueueMS
	if _, operation, ok := strings.Cut(target, dynamoTarget); ok {
		ms = s.latency.WriteMS
		if reads[operation] {
			ms = s.latency.ReadMS
		}
	}
	return answer, time.Duration(ms * float64(time.Millisecond)), err
}

func (s *stub) answer(target string, body []byte) (any, error) {
	service, operation, _ := strings.Cut(target, ".")
	switch service {
	case "AmazonSQS":
		return s.queue(operation, body)
	case "TrentService":
		return dataKey, nil
	}
	var in struct {
		Item, Key     json.RawMessage
		RequestItems  map[string]json.RawMessage
		TransactItems []struct {
			Put *struct{ Item json.RawMessage }
		}
		ExpressionAttributeValues map[string]struct{ S string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	switch operation {
	case "PutItem":
		return empty, s.put(in.Item)
	case "TransactWriteItems":
		for _, write := range in.TransactItems {
			if write.Put != nil {
				if err := s.put(write.Put.Item); err != nil {
					return nil, err
				}
			}
		}
		return empty, nil
	case "GetItem":
		row, err := s.row(in.Key)
		if row == nil {
			return empty, err
		}
		return map[string]any{"Item": row}, err
	case "Query":
		return map[string]any{"Items": s.under(in.ExpressionAttributeValues[":pk"].S, in.ExpressionAttributeValues[":sk"].S)}, nil
	case "BatchWriteItem":
		return empty, s.putAll(in.RequestItems)
	case "BatchGetItem":
		return s.getAll(in.RequestItems)
	}
	return nil, fmt.Errorf("is not among what the stub answers: %.200s", body)
}

var empty = struct{}{}

// dataKey is what every data key is, and what every wrapped one opens to.
var dataKey = map[string]any{"KeyId": "bench", "Plaintext": make([]byte, 32), "CiphertextBlob": []byte("wrapped")}

func keyOf(row json.RawMessage) (rowKey, error) {
	var k struct{ PK, SK struct{ S string } }
	if err := json.Unmarshal(row, &k); err != nil {
		return rowKey{}, err
	}
	return rowKey{k.PK.S, k.SK.S}, nil
}

func (s *stub) put(row json.RawMessage) error {
	k, err := keyOf(row)
	if err == nil {
		s.rows[k] = row
	}
	return err
}

func (s *stub) row(key json.RawMessage) (json.RawMessage, error) {
	k, err := keyOf(key)
	return s.rows[k], err
}

// under returns the rows of a partition whose sort keys begin with prefix.
func (s *stub) under(pk, prefix string) []json.RawMessage {
	var keys []rowKey
	for k := range s.rows {
		if k.pk == pk && strings.HasPrefix(k.sk, prefix) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b rowKey) int { return strings.Compare(a.sk, b.sk) })
	found := make([]json.RawMessage, len(keys))
	for i, k := range keys {
		found[i] = s.rows[k]
	}
	return found
}

func (s *stub) putAll(tables map[string]json.RawMessage) error {
	for _, raw := range tables {
		var writes []struct {
			PutRequest struct{ Item json.RawMessage }
		}
		if err := json.Unmarshal(raw, &writes); err != nil {
			return err
		}
		for _, write := range writes {
			if err := s.put(write.PutRequest.Item); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stub) getAll(tables map[string]json.RawMessage) (any, error) {
	found := map[string][]json.RawMessage{}
	for table, raw := range tables {
		var wanted struct{ Keys []json.RawMessage }
		if err := json.Unmarshal(raw, &wanted); err != nil {
			return nil, err
		}
		for _, key := range wanted.Keys {
			row, err := s.row(key)
			if err != nil {
				return nil, err
			}
			if row != nil {
				found[table] = append(found[table], row)
			}
		}
	}
	return map[string]any{"Responses": found}, nil
}

func (s *stub) queue(operation string, body []byte) (any, error) {
	type entry struct {
		ID          string `json:"Id"`
		MessageBody string
	}
	var in struct {
		entry
		Entries []entry
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	sent := func(e entry) map[string]any {
		s.messages = append(s.messages, e.MessageBody)
		// SQS answers with this sum, and the SDK compares it.
		sum := md5.Sum([]byte(e.MessageBody))
		return map[string]any{"Id": e.ID, "MessageId": "m", "MD5OfMessageBody": hex.EncodeToString(sum[:])}
	}
	switch operation {
	case "SendMessage":
		return sent(in.entry), nil
	case "SendMessageBatch":
		var all []map[string]any
		for _, e := range in.Entries {
			all = append(all, sent(e))
		}
		return map[string]any{"Successful": all, "Failed": []any{}}, nil
	}
	return nil, fmt.Errorf("is not among what the stub answers: %.200s", body)
}
