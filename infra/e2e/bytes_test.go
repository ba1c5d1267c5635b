package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// maxData is the most an event's data may be: 256 KiB.
const maxData = 256 << 10

// Signatures are over bytes, so what is posted as data must arrive as it was
// posted, however JSON might also be written.
func TestDataArriveByteForByte(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	n.subscribe(t, h)
	for rule, data := range map[string]string{
		"KeyOrder":               `{"b":1,"a":2,"aa":3,"A":4}`,
		"RepeatedKeys":           `{"a":1,"a":2}`,
		"AnEmptyKey":             `{"":""}`,
		"Indentation":            "{\n\t\"a\" :  [ 1 ,\r\n 2 ] ,\n  \"b\": { }\n}",
		"AnEmptyObject":          `{}`,
		"AnEmptyArray":           `[ ]`,
		"Null":                   `null`,
		"False":                  `false`,
		"AString":                `"x"`,
		"ANumber":                `0`,
		"ANumberBeyondFloat64":   `1e400`,
		"ANumberBeyondInt64":     `12345678901234567890123`,
		"SpellingsOfNumbers":     `[1.0,1.10,-0,1E+2,1e2,0.1e-7]`,
		"EscapedLineSeparators":  `"\u2028\u2029"`,
		"RawLineSeparators":      "\"\u2028\u2029\"",
		"ASurrogatePairEscaped":  `"\ud83d\ude00 \uD83D\uDE00"`,
		"ALoneSurrogateEscaped":  `"\ud800"`,
		"RawUnicode":             `{"日本":"😀 é e` + "\u0301" + `"}`,
		"MarkupCharacters":       `"<a href='x'>&amp;</a>\u003c"`,
		"EscapesThatNeedNotBe":   `"\/\u0041\u0000\b"`,
		"DeepNesting":            strings.Repeat("[", 63) + strings.Repeat("]", 63),
		"TheLargestData":         `"` + strings.Repeat("é", (maxData-2)/2) + `"`,
		"MuchSmallStuff":         `[` + strings.Repeat(`{"a": null},`, 10_000) + `1]`,
		"SomethingLikeTheWholeX": `{"type":"x","data":{"type":"y"},"timestamp":null}`,
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			a := n.post(t, "bytes.kept", data)
			if got := string(h.awaitEvent(t, a.ID)[0].body); got != a.wireBody(data) {
				t.Errorf("arrived\n%s\nwant\n%s", clip(got, 400), clip(a.wireBody(data), 400))
			}
			// In the API's answer the payload is part of another JSON document:
			// the same but for the space between tokens.
			r, err := n.try(http.MethodGet, n.at("/events/%s", a.ID), nil, undocumented) // the validator cannot hold 1e400
			if err != nil {
				t.Fatal(err)
			}
			var want bytes.Buffer
			if err := json.Compact(&want, []byte(a.wireBody(data))); err != nil {
				t.Fatal(err)
			}
			if got := as[eventDetail](t, r.must(t, http.StatusOK)).Payload; !bytes.Equal(got, want.Bytes()) {
				t.Errorf("the event shows\n%s\nwant\n%s", clip(string(got), 400), clip(want.String(), 400))
			}
		})
	}
}

func TestTheOrderAndSpacingOfARequestDoNotMatter(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	n.subscribe(t, h)
	body := " {\n \"data\" :\t{ \"a\" : 1 } ,\r\n\"type\" : \"bytes.kept\"} \n"
	a := as[accepted](t, n.send(t, http.MethodPost, n.at("/events"), body).must(t, http.StatusAccepted))
	if got := string(h.awaitEvent(t, a.ID)[0].body); got != a.wireBody(`{ "a" : 1 }`) {
		t.Errorf("arrived %s", got)
	}
}

func TestTheTimeOfAnEventIsKeptToTheMillisecondInUTC(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	h := newHook(t)
	n.subscribe(t, h)
	for given, want := range map[string]string{
		"2026-01-31T12:00:00Z":                "2026-01-31T12:00:00.000Z",
		"2026-01-31T12:00:00.987654321+02:00": "2026-01-31T10:00:00.987Z",
		"1999-12-31T23:59:59.5-00:30":         "2000-01-01T00:29:59.500Z",
	} {
		body := fmt.Sprintf(`{"type":"time.kept","timestamp":%q,"data":{}}`, given)
		a := as[accepted](t, n.send(t, http.MethodPost, n.at("/events"), body).must(t, http.StatusAccepted))
		if a.Timestamp != want {
			t.Errorf("%s: the 202 says %s, want %s", given, a.Timestamp, want)
		}
		if got := string(h.awaitEvent(t, a.ID)[0].body); got != a.wireBody(`{}`) {
			t.Errorf("%s: arrived %s", given, got)
		}
	}
}
