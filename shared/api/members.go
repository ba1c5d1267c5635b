package api

import (
	"bytes"
	"encoding/json"
	"iter"
)

// whitespace is what JSON allows between its parts (RFC 8259, section 2).
const whitespace = " \t\r\n"

// membersOf returns the members of an object, which must be valid JSON in UTF-8, in
// their order: each name, and its value as it is written there. A json.Decoder would go
// over the object three times more and copy it, at every event.
func membersOf(object []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		rest := after(object, '{')
		for rest[0] != '}' {
			end := endOfString(rest, 0)
			name := rest[:end]
			rest = after(rest[end:], ':')
			end = endOfValue(rest)
			if !yield(unquote(name), rest[:end:end]) {
				return
			}
			if rest = bytes.TrimLeft(rest[end:], whitespace); rest[0] == ',' {
				rest = after(rest, ',')
			}
		}
	}
}

// after is what follows the mark that text begins with, but for space.
func after(text []byte, mark byte) []byte {
	_, rest, _ := bytes.Cut(text, []byte{mark})
	return bytes.TrimLeft(rest, whitespace)
}

func unquote(name []byte) (text string) {
	if bytes.IndexByte(name, '\\') < 0 {
		return string(name[1 : len(name)-1])
	}
	_ = json.Unmarshal(name, &text) // it is valid
	return text
}

// endOfValue is where the value ends that text begins with.
func endOfValue(text []byte) int {
	if text[0] != '{' && text[0] != '[' && text[0] != '"' { // a number or a word
		return bytes.IndexAny(text, ",]}"+whitespace)
	}
	for i, depth := 0, 0; ; {
		switch text[i] {
		case '"':
			i = endOfString(text, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		default:
			i++
		}
		if depth == 0 {
			return i
		}
	}
}

// endOfString is where the string ends that begins at a quotation mark, or the
// text if the string does not end.
func endOfString(text []byte, at int) int {
	for i := at + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}
