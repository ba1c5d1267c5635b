package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
)

// Fifty crashes under load lose nothing that was accepted. What arrives twice
// was under way when the process was killed: posted, and not yet recorded.
func TestFiftyKillsUnderLoadLoseNothingAccepted(t *testing.T) {
	t.Parallel()
	const kills, posters, perLife = 50, 8, 40
	data := filepath.Join(t.TempDir(), "relay.db")
	p := ownRelay(t, data)
	n := p.newTenant(t, "crash")
	h := newHook(t)
	n.subscribe(t, h)

	var mu sync.Mutex
	acknowledged := map[string]bool{}
	for life := range kills {
		enough := make(chan struct{})
		counted := 0
		var wait sync.WaitGroup
		for poster := range posters {
			wait.Go(func() {
				for i := 0; ; i++ {
					r, err := n.try(http.MethodPost, n.at("/events"), eventBody("order.placed", fmt.Sprintf("[%d,%d,%d]", life, poster, i)))
					if err != nil {
						return // killed: it did not answer, or not whole
					}
					var a accepted
					if r.status != http.StatusAccepted || json.Unmarshal(r.body, &a) != nil {
						t.Errorf("answered %s", r)
						return
					}
					mu.Lock()
					acknowledged[a.ID] = true
					if counted++; counted == perLife {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		<-enough
		p.kill()
		wait.Wait()
		p = ownRelay(t, data)
		n.client = p.client
	}
	var arrived map[string]int
	eventually(t, patience, func() (bool, string) {
		arrived = map[string]int{}
		for _, a := range h.got() {
			arrived[a.id]++
		}
		missing := 0
		for id := range acknowledged {
			if arrived[id] == 0 {
				missing++
			}
		}
		return missing == 0, fmt.Sprintf("%d of %d accepted events have not arrived", missing, len(acknowledged))
	})
	twice, unasked := 0, 0
	for id, times := range arrived {
		twice += times - 1
		if !acknowledged[id] {
			unasked++ // stored and queued when the answer was cut off
		}
	}
	t.Logf("%d kills, %d events accepted, none lost; %d arrived again, %d arrived whose answer was cut off",
		kills, len(acknowledged), twice, unasked)
	for _, a := range h.got() {
		if a.failure != nil {
			t.Fatalf("event %s: %v", a.id, a.failure)
		}
	}
}
