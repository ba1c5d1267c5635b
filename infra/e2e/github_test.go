package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// example is one payload that GitHub sends, as the bytes of the examples' file.
type example struct{ eventType, data string }

// gitHubExamples reads the examples that GitHub's SDK is tested with.
func gitHubExamples(t testing.TB) (found []example) {
	t.Helper()
	folder := needsInstalled(t, "node/node_modules/@octokit/webhooks-examples")
	text, err := os.ReadFile(filepath.Join(folder, "api.github.com", "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var events []struct {
		Name     string
		Examples []json.RawMessage
	}
	if err := json.Unmarshal(text, &events); err != nil {
		t.Fatal(err)
	}
	valid := regexp.MustCompile(`^[A-Za-z0-9_]+$`)
	for _, e := range events {
		for _, data := range e.Examples {
			eventType := "github." + e.Name
			var payload struct{ Action any }
			if err := json.Unmarshal(data, &payload); err != nil {
				t.Fatal(err)
			}
			if action, ok := payload.Action.(string); ok && valid.MatchString(action) {
				eventType += "." + action
			}
			found = append(found, example{eventType, string(data)})
		}
	}
	return found
}

// everyNth thins the examples out: with -short, or by RELAY_E2E_EXAMPLES, the
// number to keep.
func everyNth(t testing.TB, all []example) []example {
	keep := len(all)
	if testing.Short() {
		keep = 12
	}
	if text := os.Getenv("RELAY_E2E_EXAMPLES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("RELAY_E2E_EXAMPLES is %q, not a number of examples", text)
		}
		keep = min(n, len(all))
	}
	chosen := make([]example, keep)
	for i := range chosen {
		chosen[i] = all[i*len(all)/keep]
	}
	return chosen
}

// Three official libraries, in three languages, verify what GitHub really sends.
func TestGitHubsWebhooksReachReceiversInThreeLanguagesByteForByte(t *testing.T) {
	t.Parallel()
	examples := everyNth(t, gitHubExamples(t))
	python, node := newPythonReceiver(t), newNodeReceiver(t)
	n := newTenant(t)
	h := newHook(t)
	n.subscribe(t, h, "github.*")
	python.subscribe(t, n, "github")
	node.subscribe(t, n, "github")

	want, err := n.postAll(examples)
	if err != nil {
		t.Fatal(err)
	}
	for language, received := range map[string]func() map[string]string{
		"Go": func() map[string]string {
			sums := make(map[string]string)
			for _, a := range h.got() {
				sums[a.id] = sum(string(a.body))
			}
			return sums
		},
		"Python":     func() map[string]string { return python.received(t, "github") },
		"JavaScript": func() map[string]string { return node.received(t, "github") },
	} {
		var got map[string]string
		eventually(t, 2*patience, func() (bool, string) {
			got = received()
			return len(got) >= len(want), fmt.Sprintf("%s: %d of %d events arrived", language, len(got), len(want))
		})
		if !maps.Equal(want, got) {
			t.Errorf("%s: other bodies or events arrived (-want +got)\n%s", language, cmp.Diff(want, got))
		}
	}
	h.await(t, len(want)) // each verified
	t.Logf("%d payloads of %d types, three times each", len(examples), countTypes(examples))
}

// postAll posts the examples, a few at a time, and returns the sum of each
// event's expected body by its id.
func (n tenant) postAll(examples []example) (map[string]string, error) {
	var (
		mu     sync.Mutex
		sums   = make(map[string]string, len(examples))
		failed error
		slots  = make(chan struct{}, 4)
		wait   sync.WaitGroup
	)
	for _, e := range examples {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			var a accepted
			r, err := n.try(http.MethodPost, n.at("/events"), eventBody(e.eventType, e.data))
			if err == nil {
				err = json.Unmarshal(r.body, &a)
			}
			if err == nil && (r.status != http.StatusAccepted || a.Deliveries != 3) {
				err = fmt.Errorf("%s: %s", e.eventType, r)
			}
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			sums[a.ID] = sum(a.wireBody(e.data))
		})
	}
	wait.Wait()
	return sums, failed
}

func sum(text string) string {
	digest := sha256.Sum256([]byte(text))
	return hex.EncodeToString(digest[:])
}

func countTypes(examples []example) int {
	types := make([]string, len(examples))
	for i, e := range examples {
		types[i] = e.eventType
	}
	slices.Sort(types)
	return len(slices.Compact(types))
}
