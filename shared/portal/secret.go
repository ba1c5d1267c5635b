package portal

import (
	"embed"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"webhookrelay/shared/client"
)

//go:embed snippets
var snippetFiles embed.FS

// snippet is code that verifies deliveries, in one language.
type snippet struct{ Key, Name, File, Install string }

// snippets are those that the portal shows. Each file is a whole program.
var snippets = []snippet{
	{"go", "Go", "receiver.go.txt", "go get github.com/standard-webhooks/standard-webhooks/libraries"},
	{"python", "Python", "receiver.py", "pip install standardwebhooks"},
	{"javascript", "JavaScript", "receiver.mjs", "npm install standardwebhooks"},
	{"java", "Java", "Receiver.java", ""},
	{"csharp", "C#", "Receiver.cs", ""},
	{"ruby", "Ruby", "receiver.rb", ""},
	{"php", "PHP", "receiver.php", ""},
}

type secretData struct {
	client.Endpoint
	Name string
	// Shown is set once it was asked for.
	Shown *client.Secret
	// Rotated: it is the new one.
	Rotated  bool
	Snippets []snippet
	Lang     snippet
	Code     string
}

func secretPage(v *visit) error { return v.secret(nil, false) }

// secret shows the page, with the secret if there is one.
func (v *visit) secret(shown *client.Secret, rotated bool) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	data := secretData{Endpoint: e, Name: nameOf(e), Shown: shown, Rotated: rotated, Snippets: snippets, Lang: snippets[0]}
	for _, s := range snippets {
		if s.Key == v.r.URL.Query().Get("lang") {
			data.Lang = s
		}
	}
	code, err := snippetFiles.ReadFile("snippets/" + data.Lang.File)
	if err != nil {
		return err
	}
	data.Code = string(code)
	return v.show("secret", page{Title: "Secret and verification · " + data.Name, Nav: "overview", Data: data})
}

// showSecret is a form, so that the look is on record and no address holds it.
func showSecret(v *visit) error {
	secret, err := v.relay.GetSecret(v.r.Context(), v.tenant, v.r.PathValue("endpoint"))
	if err != nil {
		return err
	}
	return v.secret(&secret, false)
}

func rotateSecret(v *visit) error {
	rotation := client.Rotation{}
	if seconds, err := strconv.Atoi(v.r.PostFormValue("overlap")); err == nil {
		rotation.OverlapSeconds = &seconds
	}
	secret, err := v.relay.RotateSecret(v.r.Context(), v.tenant, v.r.PathValue("endpoint"), rotation)
	if err != nil {
		return err
	}
	return v.secret(&secret, true)
}

// testData is the form for a test event.
type testData struct {
	client.Endpoint
	Name       string
	Type, Data string
	Known      knownTypes
	Fault      string
	FaultField string
}

// exampleData is what a test event holds unless something else is typed.
const exampleData = `{
  "test": true,
  "message": "Hello from the webhook relay"
}`

// testPage offers the example of the type in the address, or of one that the
// endpoint wants.
func testPage(v *visit) error {
	return v.test(http.StatusOK, testData{Type: strings.TrimSpace(v.r.URL.Query().Get("type"))})
}

func (v *visit) test(status int, t testData) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	if t.Known, err = v.knownTypes(); err != nil {
		return err
	}
	t.Endpoint, t.Name = e, nameOf(e)
	if t.Type == "" && t.Fault == "" {
		t.Type = exampleType(e, t.Known.names())
	}
	if t.Data == "" {
		t.Data = v.exampleOf(t.Type)
	}
	v.render(status, "test", page{Title: "Test " + t.Name, Nav: "overview", Data: t})
	return nil
}

// exampleType is one that the endpoint subscribed to, where one can be told.
func exampleType(e client.Endpoint, known []string) string {
	for _, pattern := range e.EventTypes {
		if !strings.Contains(pattern, "*") {
			return pattern
		}
		prefix := strings.TrimSuffix(pattern, "*")
		for _, t := range known {
			if strings.HasPrefix(t, prefix) {
				return t
			}
		}
		if strings.HasSuffix(pattern, ".*") {
			return prefix + "test"
		}
	}
	if len(known) > 0 {
		return known[0]
	}
	return "test.event"
}

func sendTest(v *visit) error {
	t := testData{Type: strings.TrimSpace(v.r.PostFormValue("type")), Data: v.r.PostFormValue("data")}
	if !json.Valid([]byte(t.Data)) {
		t.Fault, t.FaultField = "The data is not JSON. Check its quotes, commas and braces.", "data"
		return v.test(http.StatusUnprocessableEntity, t)
	}
	event := client.TestEvent{Type: t.Type, Data: json.RawMessage(t.Data)}
	d, err := v.relay.TestEndpoint(v.r.Context(), v.tenant, v.r.PathValue("endpoint"), event)
	if p, ok := errors.AsType[*client.Problem](err); ok && (p.Status == http.StatusBadRequest || p.Status == http.StatusConflict) {
		t.Fault, t.FaultField = p.Detail, "type"
		return v.test(http.StatusUnprocessableEntity, t)
	}
	if err != nil {
		return err
	}
	return v.done("tested", "deliveries", d.ID)
}
