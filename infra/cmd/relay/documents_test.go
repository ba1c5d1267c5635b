package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// documentedLines lists the command lines in the code blocks of the documents
// that begin with the program's name, each after its document's name.
func documentedLines(t *testing.T, program string) (lines [][2]string) {
	t.Helper()
	var documents []string
	for _, pattern := range []string{"README.md", "infra/docs/*.md", "infra/docs/*/*.md", "infra/*/README.md", "infra/examples/*/README.md"} {
		found, err := filepath.Glob(filepath.Join("../../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, found...)
	}
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range fenced(string(text)) {
			line = strings.TrimPrefix(line, "$ ")
			line = strings.Replace(line, "go run ./infra/cmd/relay ", "relay ", 1)
			if rest, ok := strings.CutPrefix(line, program+" "); ok {
				lines = append(lines, [2]string{document, rest})
			}
		}
	}
	return lines
}

// fenced lists the lines of a document's code blocks. A line that ends in a
// backslash goes on with the next.
func fenced(text string) (lines []string) {
	inside := false
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		if strings.HasPrefix(line, "```") {
			inside = !inside
		} else if inside {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// shellWords is what a shell makes of a line: it splits at spaces outside
// quotes, and leaves out redirections and what comments say.
func shellWords(line string) (words []string) {
	for _, word := range regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`).FindAllString(line, -1) {
		if strings.ContainsAny(word[:1], "#<>") {
			break
		}
		if strings.ContainsAny(word[:1], `'"`) {
			word = word[1 : len(word)-1]
		}
		words = append(words, word)
	}
	return words
}

func TestEveryDocumentedCommandParses(t *testing.T) {
	t.Parallel()
	documents := map[string]bool{}
	for _, line := range documentedLines(t, "relay") {
		documents[filepath.Base(line[0])] = true
		words := shellWords(line[1])
		if words[0] == "help" {
			continue
		}
		if _, err := parse(words...); err != nil {
			t.Errorf("%s: relay %s: %v", line[0], line[1], err)
		}
	}
	for _, name := range []string{"cli.md", "capacity.md", "finding.md", "deploying.md", "outages.md"} {
		if !documents[name] {
			t.Errorf("no command was found in %s", name)
		}
	}
}

func TestEveryDocumentedRequestIsOneThatTheAPITakes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../shared/api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	api, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	lines := documentedLines(t, "curl")
	if len(lines) < 7 {
		t.Errorf("only %d requests were found", len(lines))
	}
	for _, line := range lines {
		request, err := curl(shellWords(line[1]))
		if err != nil {
			t.Errorf("%s: curl %s: %v", line[0], line[1], err)
			continue
		}
		if ok, problems := api.ValidateHttpRequest(request); !ok {
			for _, p := range problems {
				t.Errorf("%s: curl %s: %s: %s %v", line[0], line[1], p.Message, p.Reason, p.SchemaValidationErrors)
			}
		}
	}
}

// curl is the request that the program makes of its arguments.
func curl(words []string) (*http.Request, error) {
	method, address, body, header := http.MethodGet, "", "", http.Header{}
	for i := 0; i < len(words); i++ {
		if slices.Contains([]string{"-X", "-H", "-d"}, words[i]) && i+1 == len(words) {
			return nil, fmt.Errorf("%s has no value", words[i])
		}
		switch words[i] {
		case "-X":
			i++
			method = words[i]
		case "-H":
			i++
			name, value, _ := strings.Cut(words[i], ": ")
			header.Add(name, value)
		case "-d":
			i++
			body = words[i]
		default:
			if strings.HasPrefix(words[i], "-") || address != "" {
				return nil, fmt.Errorf("what is %s?", words[i])
			}
			address = os.Expand(words[i], func(name string) string {
				if name == "URL" {
					return "http://127.0.0.1:8080" // where the relay lives is beside the point
				}
				return "id"
			})
		}
	}
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	if err == nil {
		request.Header = header
	}
	return request, err
}
