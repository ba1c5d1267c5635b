package api

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"unicode/utf8"
)

// FuzzMembers holds membersOf against encoding/json's decoder.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { } `, `{"a":1}`, "\t{ \"a\" :\n-1.5e+3 , \"b\":[1,{\"c\":\"]}\\\"\"}] }\r\n", `{"a":{},"a":[]}`, `{"":"","\u0061\"":null}`,
		`{"a":"\\","b":true}`, `{"\ud800":"\\\\\""}`, `[]`, `1`, `{"a"`, `{"a":1}{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		decoder := json.NewDecoder(bytes.NewReader(object))
		if start, err := decoder.Token(); err != nil || start != json.Delim('{') || !json.Valid(object) || !utf8.Valid(object) {
			t.Skip("not an object")
		}
		for name, raw := range membersOf(object) {
			wantName, nameErr := decoder.Token()
			var want json.RawMessage
			err := decoder.Decode(&want)
			if nameErr != nil || err != nil || name != wantName || !bytes.Equal(raw, want) {
				t.Fatalf("member %q is %q, want %q with %q (%v, %v)", name, raw, wantName, want, nameErr, err)
			}
		}
		if end, err := decoder.Token(); end != json.Delim('}') {
			t.Fatalf("members are missing: %v, %v", end, err)
		}
		if _, err := decoder.Token(); err != io.EOF {
			t.Fatalf("something follows: %v", err)
		}
	})
}
