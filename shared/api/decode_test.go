package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"webhookrelay/shared/webhook"
)

func TestDecodeObject(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule, body, field string
		ok                bool
	}{
		{"AllFieldsAreOptionalHere", `{}`, "", true},
		{"FieldsMayComeInAnyOrder", ` {"n": 1, "s" : "x"} `, "", true},
		{"AnUnknownFieldIsNamed", `{"s":"x","other":1}`, "other", false},
		{"NamesAreCaseSensitive", `{"S":"x"}`, "S", false},
		{"ARepeatedFieldIsNamed", `{"s":"x","s":"y"}`, "s", false},
		{"AWrongTypeIsNamed", `{"s":1}`, "s", false},
		{"NullIsAWrongType", `{"s":null}`, "s", false},
		{"AnArrayIsMalformed", `[]`, "", false},
		{"AStringIsMalformed", `"x"`, "", false},
		{"NothingIsMalformed", ``, "", false},
		{"AnUnfinishedObjectIsMalformed", `{"s":"x"`, "", false},
		{"ATrailingCommaIsMalformed", `{"s":"x",}`, "", false},
		{"ASecondObjectIsMalformed", `{}{}`, "", false},
		{"InvalidUTF8IsMalformed", "{\"s\":\"\xff\"}", "", false},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			var s string
			var n int
			err := decodeObject([]byte(tc.body), maxDepth, fields{"s": into("s", "a string", &s), "n": into("n", "a number", &n)})
			if (err == nil) != tc.ok {
				t.Fatalf("got %v", err)
			}
			var bad *webhook.Invalid
			if errors.As(err, &bad) && bad.Field != tc.field || tc.field != "" && bad == nil {
				t.Fatalf("got %v, want field %q", err, tc.field)
			}
			if err != nil && problemOf(err).Status != http.StatusBadRequest {
				t.Fatalf("status %d", problemOf(err).Status)
			}
		})
	}
}

func TestHeadersAreReadAsGiven(t *testing.T) {
	t.Parallel()
	var headers []webhook.Header
	read := intoHeaders("headers", &headers)
	for _, wrong := range []string{`null`, `[]`, `"a"`, `1`, `{"A":1}`, `{"A":null}`, `{"A":["b"]}`, `{"A":{"B":"c"}}`, `{"A":"b","C":true}`} {
		var bad *webhook.Invalid
		if err := read([]byte(wrong)); !errors.As(err, &bad) || bad.Field != "headers" || headers != nil {
			t.Errorf("%s: %v, read %v", wrong, err, headers)
		}
	}
	if err := read([]byte(`{}`)); err != nil || headers == nil || len(headers) != 0 {
		t.Errorf("none: %v, %v", headers, err)
	}
	want := []webhook.Header{{Name: "b", Value: "1"}, {Name: "a", Value: "\u00e9"}, {Name: "b", Value: "2"}}
	if err := read([]byte(`{"b":"1", "\u0061":"\u00e9","b":"2"}`)); err != nil || !slices.Equal(headers, want) {
		t.Errorf("got %v, %v", headers, err)
	}
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"type":"order.placed","data":{"a":[1,2,{"b":null}]},"id":"x","timestamp":"2026-01-31T12:00:00Z"}`))
	f.Add([]byte(`{"type":"a","data":1e400}`))
	f.Add([]byte("{\"type\":\"a\",\"data\": \"\\ud800\" }"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := http.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		request, err := readEvent(r)
		if err != nil {
			if status := problemOf(err).Status; status < 400 || status > 499 {
				t.Fatalf("%q answers %d: %v", body, status, err)
			}
			return
		}
		if !json.Valid(request.Data) || !bytes.Contains(body, request.Data) {
			t.Fatalf("data %q of %q", request.Data, body)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add("ZXZlbnRzCjAxSkQ", "events")
	f.Add("", "events")
	f.Fuzz(func(t *testing.T, cursor, kind string) {
		position, err := decodeCursor(cursor, kind)
		if err != nil || position == "" || strings.Contains(kind, "\n") {
			return
		}
		again, err := decodeCursor(*encodeCursor(kind, position), kind)
		if err != nil || again != position {
			t.Fatalf("%q becomes %q, %v", position, again, err)
		}
	})
}

func TestACursorOfAnotherListIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := decodeCursor(*encodeCursor("events", "x"), "deliveries"); !errors.Is(err, webhook.ErrBadCursor) {
		t.Fatalf("got %v", err)
	}
}

func TestTimestampsHaveMilliseconds(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 13, 0, 0, 5e6, time.FixedZone("", 3600))
	for want, value := range map[string]timestamp{`"2026-01-31T12:00:00.005Z"`: timestamp(at), "null": {}} {
		if got, err := json.Marshal(value); err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}
