package auth_test

import (
	"errors"
	"net/http"
	"testing"

	"webhookrelay/shared/auth"
)

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	key := auth.NewKey()
	keys := auth.Keys{Admin: auth.DigestOf(key)}
	for _, tc := range []struct {
		rule, header string
		ok           bool
	}{
		{"TheKeyPasses", "Bearer " + key, true},
		{"TheSchemeIsCaseInsensitive", "bearer " + key, true},
		{"NoHeaderIsRefused", "", false},
		{"AnotherKeyIsRefused", "Bearer " + auth.NewKey(), false},
		{"APrefixOfTheKeyIsRefused", "Bearer " + key[:len(key)-1], false},
		{"AnEmptyKeyIsRefused", "Bearer ", false},
		{"AnotherSchemeIsRefused", "Basic " + key, false},
		{"TheDigestIsNoKey", "Bearer " + auth.DigestOf(key).String(), false},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{Header: http.Header{"Authorization": {tc.header}}}
			if err := keys.Authenticate(r); (err == nil) != tc.ok || err != nil && !errors.Is(err, auth.ErrUnauthenticated) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	digest := auth.DigestOf("key")
	if got, err := auth.ParseDigest(digest.String()); err != nil || got != digest {
		t.Fatalf("got %v, %v", got, err)
	}
	for _, text := range []string{"", "abc", digest.String() + "00", "zz" + digest.String()[2:]} {
		if _, err := auth.ParseDigest(text); err == nil {
			t.Errorf("%q is taken as a digest", text)
		}
	}
}
