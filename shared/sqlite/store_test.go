package sqlite

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/webhook"
)

// newEvent returns an event of tenant "t" that expires in an hour.
func newEvent(at time.Time, targets ...webhook.EndpointID) webhook.Event {
	at = at.UTC().Truncate(time.Millisecond)
	ref := id.NewSource().EventRef(at)
	return webhook.Event{
		Tenant: "t", Ref: ref, ID: id.EventID(ref), Type: "a.b", Timestamp: at, Body: []byte("{}"), Targets: targets,
		AcceptedAt: at, ExpiresAt: at.Add(time.Hour),
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReopeningKeepsEverything(t *testing.T) {
	cfg := Config{Path: filepath.Join(t.TempDir(), "relay.db"), MaxReceives: 1}
	s, err := Open(cfg)
	must(t, err)
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Millisecond)
	tenant := webhook.Tenant{ID: "t", Name: "name", CreatedAt: now}
	_, _, err = s.PutTenant(ctx, tenant)
	must(t, err)
	endpoint := webhook.Endpoint{Tenant: "t", ID: "ep", URL: "https://example.com", State: webhook.EndpointEnabled, CreatedAt: now, UpdatedAt: now}
	must(t, s.CreateEndpoint(ctx, endpoint))
	endpoint.Rev = 1
	e := newEvent(now, "ep")
	must(t, s.PutEvents(ctx, []webhook.Event{e}))
	d := webhook.NewDelivery(e, "ep").Die(webhook.ReasonExhausted, now)
	must(t, s.SaveDelivery(ctx, d))
	d.Rev = 1
	claim := ingest.Claim{Tenant: "t", Key: "key:k", Ref: e.Ref, At: now, Done: true, ExpiresAt: now.Add(time.Hour)}
	_, err = s.Claim(ctx, claim)
	must(t, err)
	must(t, s.Queue().Send(ctx, []webhook.DeliveryKey{d.DeliveryKey}))
	first, err := s.Queue().Receive(ctx, 1)
	must(t, err)
	if failed := s.Queue().Hide(ctx, hidings(first, 0)); len(failed) > 0 {
		t.Fatalf("could not hide %v", failed)
	}
	_, err = s.Queue().Receive(ctx, 1) // goes to the dead-letter queue
	must(t, err)
	must(t, s.Queue().Send(ctx, []webhook.DeliveryKey{d.DeliveryKey, d.DeliveryKey}))
	version, err := s.ConfigVersion(ctx, "t")
	must(t, err)
	must(t, s.Close())

	s = openAt(t, cfg)
	gotTenant, err := s.Tenant(ctx, "t")
	must(t, err)
	gotEndpoint, err := s.Endpoint(ctx, "t", "ep")
	must(t, err)
	gotEvent, err := s.EventByRef(ctx, "t", e.Ref)
	must(t, err)
	gotDead, _, err := s.DeadLetters(ctx, webhook.Page{Limit: 10})
	must(t, err)
	gotClaim, err := s.Claim(ctx, ingest.Claim{Tenant: "t", Key: "key:k", Ref: "other"})
	must(t, err)
	depth, err := s.Queue().Depth(ctx)
	must(t, err)
	messages, err := s.Queue().Receive(ctx, 10)
	must(t, err)
	gotVersion, err := s.ConfigVersion(ctx, "t")
	must(t, err)
	want := []any{tenant, endpoint, e, []webhook.Delivery{d}, claim, 1, 2, version}
	got := []any{gotTenant, gotEndpoint, gotEvent, gotDead, gotClaim, depth, len(messages), gotVersion}
	if diff := cmp.Diff(want, got, equateEmpty); diff != "" {
		t.Errorf("after reopening (-want +got):\n%s", diff)
	}
	if messages[0].ID == first[0].ID || messages[1].ID == first[0].ID {
		t.Errorf("message id %s was used again", first[0].ID)
	}
}

// Nobody works any more on what a killed process had claimed.
func TestReopeningEndsTheLeasesOfClaims(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	cfg := Config{Path: filepath.Join(t.TempDir(), "relay.db"), Now: func() time.Time { return now }}
	s, err := Open(cfg)
	must(t, err)
	for key, done := range map[string]bool{"finished": true, "unfinished": false} {
		_, err = s.Claim(t.Context(), ingest.Claim{Tenant: "t", Key: key, Ref: "before", At: now, Done: done, ExpiresAt: now.Add(time.Hour)})
		must(t, err)
	}
	must(t, s.Close())
	now = now.Add(time.Millisecond)
	s = openAt(t, cfg)
	for key, want := range map[string]time.Time{"finished": now.Add(-time.Millisecond), "unfinished": time.UnixMilli(0)} {
		mine := ingest.Claim{Tenant: "t", Key: key, Ref: "after", At: now, ExpiresAt: now.Add(time.Hour)}
		got, err := s.Claim(t.Context(), mine)
		must(t, err)
		if got.Ref != "before" || !got.At.Equal(want) {
			t.Errorf("the claim that was %s is of %s since %s, want of before since %s", key, got.Ref, got.At, want)
		}
		taken := got
		taken.At = now
		must(t, s.UpdateClaim(t.Context(), got, taken))
		if got, err = s.Claim(t.Context(), mine); err != nil || !got.At.Equal(now) {
			t.Errorf("the claim that was taken over is held since %s, error %v", got.At, err)
		}
	}
}

// A claim whose release the store failed does not last its lease.
func TestAFailedReleaseOfAClaimIsMadeUpFor(t *testing.T) {
	s := openFile(t)
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Millisecond)
	mine := ingest.Claim{Tenant: "t", Key: "k", Ref: "before", At: now, ExpiresAt: now.Add(time.Hour)}
	held, err := s.Claim(ctx, mine)
	must(t, err)
	released := held
	released.At = time.UnixMilli(0)
	must(t, s.write(ctx, func(c *conn) error { return c.script("PRAGMA query_only = 1") }))
	if err := s.UpdateClaim(ctx, held, released); err == nil {
		t.Fatal("a store that refuses writes took one")
	}
	must(t, s.writer.script("PRAGMA query_only = 0")) // the writer rests
	got, err := s.Claim(ctx, ingest.Claim{Tenant: "t", Key: "k", Ref: "after", At: now, ExpiresAt: now.Add(time.Hour)})
	must(t, err)
	if got.Ref != "before" || !got.At.Equal(released.At) {
		t.Errorf("the claim is of %s since %s, want of before, let go", got.Ref, got.At)
	}
}

// equateEmpty treats nil and empty lists of attempts alike.
var equateEmpty = cmp.Transformer("attempts", func(a []webhook.Attempt) string { return fmt.Sprint(a) })

func TestADamagedRowSpoilsItsOwnDeliveryOnly(t *testing.T) {
	now := time.Now()
	s, err := Open(Config{Path: Memory})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	var lookups []dispatch.Lookup
	for range 2 {
		e := newEvent(now, "ep")
		d := webhook.NewDelivery(e, "ep").Park(now, now, webhook.NextBreaker)
		must(t, s.PutEvents(t.Context(), []webhook.Event{e}))
		must(t, s.SaveDelivery(t.Context(), d))
		lookups = append(lookups, dispatch.Lookup{DeliveryKey: d.DeliveryKey})
	}
	must(t, s.write(t.Context(), func(c *conn) error {
		_, err := c.exec("UPDATE deliveries SET attempts = '{' WHERE event = ?", string(lookups[0].Event))
		return err
	}))
	loaded, err := s.Load(t.Context(), lookups)
	must(t, err)
	if !errors.Is(loaded[0].Err, webhook.ErrUnreadable) || loaded[1].Err != nil || loaded[1].Delivery == nil {
		t.Errorf("loaded %+v", loaded)
	}
	held, err := s.Held(t.Context(), now, 10)
	if !errors.Is(err, webhook.ErrUnreadable) || len(held) != 1 || held[0].DeliveryKey != lookups[1].DeliveryKey {
		t.Errorf("held %+v, %v", held, err)
	}
}

func TestOpenRefusesAFileInUse(t *testing.T) {
	cfg := Config{Path: filepath.Join(t.TempDir(), "relay.db")}
	s, err := Open(cfg)
	must(t, err)
	if _, err := Open(cfg); !errors.Is(err, ErrInUse) {
		t.Errorf("got error %v, want ErrInUse", err)
	}
	must(t, s.PutEvents(t.Context(), []webhook.Event{newEvent(time.Now())}))
	must(t, s.Close())
	openAt(t, cfg)
}

func TestOpenRefusesFilesItCannotRead(t *testing.T) {
	for name, c := range map[string]struct {
		write func(t *testing.T, path string)
		want  error
	}{
		"garbage": {func(t *testing.T, path string) {
			must(t, os.WriteFile(path, make([]byte, 5000), 0o600))
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteString("this is a diary, not a database")
			must(t, errors.Join(err, f.Close()))
		}, ErrForeign},
		"another program's database": {func(t *testing.T, path string) { script(t, path, "CREATE TABLE songs (title TEXT)") }, ErrForeign},
		"a newer release's file": {func(t *testing.T, path string) {
			script(t, path, fmt.Sprintf("PRAGMA user_version = %d", len(migrations)+1))
		}, ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "relay.db")
			c.write(t, path)
			before, err := os.ReadFile(path)
			must(t, err)
			for range 2 { // the refusal gives the file back
				if _, err := Open(Config{Path: path}); !errors.Is(err, c.want) {
					t.Errorf("got error %v, want %v", err, c.want)
				}
			}
			after, err := os.ReadFile(path)
			must(t, err)
			if name == "garbage" && string(before) != string(after) {
				t.Error("the file was changed")
			}
		})
	}
	if _, err := Open(Config{Path: filepath.Join(t.TempDir(), "none", "relay.db")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a directory: got error %v, want os.ErrNotExist", err)
	}
}

// A file of an earlier release is brought up to date, with what it holds.
func TestOpenBringsAnEarlierFileUpToDate(t *testing.T) {
	for version := 1; version < len(migrations); version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "relay.db")
			script(t, path, strings.Join(migrations[:version], "")+fmt.Sprintf(`
				PRAGMA user_version = %d; INSERT INTO tenants (id, name, created_at, config_version) VALUES ('t', 'name', 0, 1)`, version))
			for range 2 {
				s, err := Open(Config{Path: path})
				must(t, err)
				tenant, err := s.Tenant(t.Context(), "t")
				must(t, err)
				if tenant.Name != "name" {
					t.Errorf("got %+v", tenant)
				}
				_, _, err = s.AllLines(t.Context(), webhook.Page{Limit: 1})
				must(t, err)
				must(t, s.Close())
			}
		})
	}
}

func script(t *testing.T, path, text string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	_, err = db.Exec(text)
	must(t, errors.Join(err, db.Close()))
}

func TestAFileIsDurableAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), `rel?ay #1 100%.db`)
	s := openAt(t, Config{Path: path})
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal"} {
		var got string
		_, err := s.writer.row("PRAGMA "+pragma, nil, &got)
		must(t, err)
		if got != want {
			t.Errorf("PRAGMA %s is %s, want %s", pragma, got, want)
		}
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s is %v, want 0600", name, info.Mode())
		}
	}
}

func TestMemoryStoresAreApart(t *testing.T) {
	a, b := openAt(t, Config{Path: Memory}), openAt(t, Config{Path: Memory})
	e := newEvent(time.Now())
	must(t, a.PutEvents(t.Context(), []webhook.Event{e}))
	if _, err := b.EventByRef(t.Context(), e.Tenant, e.Ref); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("got error %v, want ErrNotFound", err)
	}
}

func TestSweepDeletesWhatExpired(t *testing.T) {
	now := time.Now()
	s := openAt(t, Config{Path: filepath.Join(t.TempDir(), "relay.db"), Now: func() time.Time { return now }})
	ctx := t.Context()
	const n = 30
	for i := range n {
		e := newEvent(now.Add(-time.Duration(i)*time.Minute), "ep")
		must(t, s.PutEvents(ctx, []webhook.Event{e}))
		must(t, s.SaveDelivery(ctx, webhook.NewDelivery(e, "ep").Die(webhook.ReasonExhausted, now)))
		_, err := s.Claim(ctx, ingest.Claim{Tenant: "t", Key: fmt.Sprint(i), ExpiresAt: e.ExpiresAt})
		must(t, err)
		line := audit.Line{ID: string(e.Ref), At: e.ExpiresAt.Add(-audit.Retention)}
		must(t, s.CreateKey(ctx, auth.Key{ID: auth.KeyID(fmt.Sprint(i)), ExpiresAt: e.ExpiresAt}, line))
	}
	sweep := func(limit, want int) {
		t.Helper()
		deleted, err := s.Sweep(ctx, limit)
		must(t, err)
		if deleted != want {
			t.Errorf("swept %d rows, want %d", deleted, want)
		}
	}
	sweep(100, 0)
	now = now.Add(50 * time.Minute) // those of more than ten minutes ago have expired
	sweep(7, 7)
	sweep(100, 5*20-7)
	sweep(100, 0)
	events, _, err := s.Events(ctx, "t", history.Filter{}, webhook.Page{Limit: 100})
	must(t, err)
	dead, _, err := s.DeadLetters(ctx, webhook.Page{Limit: 100})
	must(t, err)
	if len(events) != n-20 || len(dead) != n-20 {
		t.Errorf("%d events and %d dead letters are left, want %d each", len(events), len(dead), n-20)
	}
	must(t, s.CreateKey(ctx, auth.Key{ID: "lasting"}, audit.Line{ID: "lasting", At: now.Add(time.Hour)}))
	now = now.Add(time.Hour)
	sweep(1000, 5*(n-20))
}

func TestAListCallDoesBoundedWork(t *testing.T) {
	s := openAt(t, Config{Path: Memory})
	ctx, ids, now := t.Context(), id.NewSource(), time.Now()
	const n = maxExamined + 200
	must(t, s.write(ctx, func(c *conn) error { // one by one takes long
		for i := range n {
			_, err := c.exec(`INSERT INTO events (tenant, ref, id, type, timestamp, targets, accepted_at, expires_at, unsent, body)
				VALUES ('t', ?, 'id', 'a.b', 0, 'ep', 0, ?, 0, x'')`, ids.ULID(now), millis(now.Add(time.Hour)))
			if err != nil {
				return fmt.Errorf("event %d: %w", i, err)
			}
		}
		return nil
	}))
	for _, f := range []history.Filter{{State: webhook.Delivered}, {Endpoint: "other"}} {
		found, next, err := s.Deliveries(ctx, "t", f, webhook.Page{Limit: 10})
		must(t, err)
		if len(found) != 0 || next == "" {
			t.Errorf("%+v: the first call found %d deliveries, position %q; want none and a position", f, len(found), next)
		}
		found, next, err = s.Deliveries(ctx, "t", f, webhook.Page{Limit: 10, After: next})
		must(t, err)
		if len(found) != 0 || next != "" {
			t.Errorf("%+v: the second call found %d deliveries, position %q; want the end", f, len(found), next)
		}
	}
	events, next, err := s.Events(ctx, "t", history.Filter{}, webhook.Page{Limit: 5000})
	must(t, err)
	if len(events) != maxExamined || next == "" {
		t.Errorf("got %d events, position %q; want %d and a position", len(events), next, maxExamined)
	}
}

// What was expunged is not in the file's free space either, once it was closed.
func TestAnExpungedPayloadIsGoneFromTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	s, err := Open(Config{Path: path})
	must(t, err)
	e := newEvent(time.Now(), "ep")
	e.Body = bytes.Repeat([]byte("PAYLOAD-OF-THE-TEST "), 2000)
	must(t, s.PutEvents(t.Context(), []webhook.Event{e}))
	answer := bytes.Repeat([]byte("ANSWER-OF-THE-TEST "), 200)
	d := webhook.NewDelivery(e, "ep").Succeed(webhook.Attempt{At: e.AcceptedAt, Response: answer})
	must(t, s.SaveDelivery(t.Context(), d))
	found := func() (n int) {
		must(t, s.Close())
		file, err := os.ReadFile(path)
		must(t, err)
		s, err = Open(Config{Path: path})
		must(t, err)
		return bytes.Count(file, []byte("PAYLOAD-OF-THE-TEST")) + bytes.Count(file, []byte(base64.StdEncoding.EncodeToString(answer)[:60]))
	}
	if n := found(); n == 0 {
		t.Fatal("the test does not find what it looks for")
	}
	must(t, s.ExpungeEvent(t.Context(), e.Tenant, e.Ref, time.Now()))
	d.Rev = 1
	must(t, s.SaveDelivery(t.Context(), d.Expunge(time.Now())))
	if n := found(); n > 0 {
		t.Errorf("found %d times", n)
	}
	must(t, s.Close())
}
