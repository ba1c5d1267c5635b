package auth

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"webhookrelay/shared/webhook"
)

// keyPattern is what infra/docs/keys.md gives to secret scanners.
var keyPattern = regexp.MustCompile(`^relay_(~|[A-Za-z0-9_-]{1,64})\.[A-Za-z0-9_]{1,64}\.[A-Za-z0-9_-]{43}$`)

func TestAKeysTextNamesItsPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := place{
			webhook.TenantID(rapid.StringMatching(`[A-Za-z0-9_-]{0,64}`).Draw(t, "tenant")),
			KeyID(KeyIDPrefix + rapid.StringMatching(`[0-9A-Z]{26}`).Draw(t, "id")),
		}
		text := NewKey(p.tenant, p.id)
		if got, ok := placeOf(text); !ok || got != p {
			t.Fatalf("%s names %+v, %v", text, got, ok)
		}
		if !keyPattern.MatchString(text) || !strings.HasPrefix(text, Key{Tenant: p.tenant, ID: p.id}.Prefix()+".") {
			t.Fatalf("%s has another form", text)
		}
	})
	if !keyPattern.MatchString(NewKey("", Bootstrap)) {
		t.Error("the bootstrap key has another form")
	}
}

func TestNoTwoKeysAreAlike(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		text := NewKey("acme", "key_1")
		if seen[text] {
			t.Fatalf("%s came twice", text)
		}
		seen[text] = true
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	digest := DigestOf("key")
	if got, err := ParseDigest(digest.String()); err != nil || !got.Equal(digest) {
		t.Fatalf("got %v, %v", got, err)
	}
	if digest.Equal(DigestOf("Key")) {
		t.Error("two texts have one digest")
	}
	for _, text := range []string{"", "abc", digest.String() + "00", "zz" + digest.String()[2:]} {
		if _, err := ParseDigest(text); err == nil {
			t.Errorf("%q is taken as a digest", text)
		}
	}
}

// A process that Lambda froze finds a stopped monotonic clock when it goes on.
func TestWhatIsRememberedGoesByTheWallClock(t *testing.T) {
	t.Parallel()
	c := newKeyCache(nil, time.Now)
	c.keep(place{"acme", "key_1"}, Key{}, nil, wall(c.now()))
	until := c.found[place{"acme", "key_1"}].until
	if text := until.String(); strings.Contains(text, "m=") {
		t.Errorf("kept until %s", text)
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	c := newKeyCache(nil, time.Now)
	for i := range 3 * maxCached {
		p := place{"acme", KeyID(strings.Repeat("x", i))}
		c.keep(p, Key{}, nil, c.now())
		c.keep(p, Key{}, webhook.ErrNotFound, c.now())
	}
	if len(c.found) > maxCached || len(c.absent) > maxCached {
		t.Errorf("%d and %d are kept", len(c.found), len(c.absent))
	}
}
