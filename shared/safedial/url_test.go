package safedial_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"webhookrelay/shared/safedial"
)

// The error completes "url …" in the answer to a registration.
func TestAURLThatCannotBeDialledIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	const (
		unusual  = "must write an IPv4 address as four decimal numbers, such as 192.0.2.1, without a dot at the end"
		ascii    = "must name its host in ASCII: write an international name in its xn-- form"
		notName  = "names a host that is not a domain name"
		noHost   = "must name a host, such as https://example.com/webhooks"
		notURL   = "is not a URL"
		scheme   = "must start with https://"
		user     = "must not hold a user name or password; send credentials in headers"
		fragment = "must not hold a fragment: remove the part from # on"
		badPort  = "has a port that is not between 1 and 65535"
		private  = "cannot be used: its address is not public"
		inside   = "cannot be used: its address holds another one inside; use that one itself"
		local    = "cannot be used: its address is link-local, multicast or this machine itself"
		metadata = "cannot be used: it names a metadata service"
		oneLabel = "cannot be used: a name without a dot leads to a private network; use the full domain name"
	)
	for url, want := range map[string]string{
		"https://example.com/hooks?a=b":                 "",
		"HTTPS://EXAMPLE.com:443/":                      "",
		"https://example.com./":                         "",
		"https://xn--bcher-kva.example.com/":            "",
		"https://a_b.1.example.co/":                     "",
		"https://8.8.8.8/":                              "",
		"https://[2606:4700:4700::1111]:443/":           "",
		"https://127.0.0.1.nip.io/":                     "", // seen when it is dialled
		"http://example.com/":                           "cannot be used: this relay sends to https only; start the URL with https://",
		"http://8.8.8.8:443/":                           "cannot be used: plain http goes to networks that the operator allowed, and nowhere else; use https",
		"https://example.com:8443/":                     "cannot be used: port 8443 is not open, only 443 is",
		"https://8.8.8.8:80/":                           "cannot be used: port 80 is not open, only 443 is",
		"https://localhost/":                            "cannot be used: it names this machine itself",
		"https://a.LOCALHOST./":                         "cannot be used: it names this machine itself",
		"https://intranet/":                             oneLabel,
		"https://com./":                                 oneLabel,
		"https://db.corp.internal/":                     "cannot be used: names under .internal lead nowhere on the internet",
		"https://printer.local/":                        "cannot be used: names under .local lead nowhere on the internet",
		"https://1.0.0.127.in-addr.arpa/":               "cannot be used: names under .arpa lead nowhere on the internet",
		"https://metadata.google.internal/":             metadata,
		"https://metadata/":                             metadata,
		"https://instance-data.ec2.internal./":          metadata,
		"https://10.0.0.1/":                             private,
		"https://[fd00::1]/":                            private,
		"https://[::1]/":                                private,
		"https://169.254.169.254/":                      local,
		"https://0.0.0.0/":                              local,
		"https://[::]/":                                 inside,
		"https://[::ffff:10.0.0.1]/":                    inside,
		"https://[::ffff:8.8.8.8]/":                     inside,
		"https://[64:ff9b::8.8.8.8]/":                   inside,
		"https://[fe80::1%25eth0]/":                     "cannot be used: its address has a zone",
		"https://0177.0.0.1/":                           unusual,
		"https://0x7f.0.0.1/":                           unusual,
		"https://2130706433/":                           unusual,
		"https://127.1/":                                unusual,
		"https://127.0.0.1./":                           unusual,
		"https://8.8.8.8./":                             unusual,
		"https://example.0x1/":                          unusual,
		"https://１２７.0.0.1/":                            ascii,
		"https://127。0。0。1/":                            ascii,
		"https://bücher.example.com/":                   ascii,
		"https://exam\u200bple.com/":                    ascii,
		"https://example..com/":                         notName,
		"https://.example.com/":                         notName,
		"https://example.com;x/":                        notName,
		"https://*.example.com/":                        notName,
		"https://./":                                    notName,
		"https://" + strings.Repeat("a", 64) + ".com/":  notName,
		"https://" + strings.Repeat("a.", 130) + "com/": "names a host of more than 253 characters",
		"ftp://example.com/":                            scheme,
		"//example.com/":                                scheme,
		"example.com":                                   scheme,
		"javascript:alert(1)":                           scheme,
		"https://":                                      noHost,
		"https:///path":                                 noHost,
		"https:example.com":                             noHost,
		`https:\\example.com`:                           noHost,
		"https://:443/":                                 noHost,
		"https://user:pass@example.com/":                user,
		"https://user@example.com/":                     user,
		"https://@example.com/":                         user,
		"https://example.com/#part":                     fragment,
		"https://example.com/#":                         fragment,
		"https://example.com:0/":                        badPort,
		"https://example.com:65536/":                    badPort,
		"https://exa mple.com/":                         notURL,
		"https://example.com/\n":                        notURL,
		"https://example.com\t/":                        notURL,
		" https://example.com/":                         notURL,
		"https://[127.0.0.1]/":                          notURL,
		"https://[localhost]/":                          notURL,
		"https://%31%32%37.0.0.1/":                      notURL,
		`https://example.com\@10.0.0.1/`:                notURL,
		"https://example.com:443:80/":                   notURL,
	} {
		got := ""
		if err := (safedial.Policy{}).CheckURL(url); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q:\n got %q\nwant %q", url, got, want)
		}
	}
}

func TestSettingsOpenURLs(t *testing.T) {
	t.Parallel()
	every := []safedial.PortRange{{First: 1, Last: 65535}}
	laptop := safedial.Policy{Allow: []netip.Prefix{loopback}, Ports: every, PlainHTTP: true}
	site := safedial.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Ports: []safedial.PortRange{{First: 80, Last: 80}}}
	for _, tc := range []struct {
		url          string
		laptop, site bool
	}{
		{"http://example.com/", true, true}, // in the site, its address decides
		{"http://localhost:9000/", true, false},
		{"http://127.0.0.1:9000/", true, false},
		{"http://receiver/", true, true},
		{"http://receiver:8080/", true, false},
		{"http://receiver.corp.internal/", true, true},
		{"http://10.1.2.3/", false, true},
		{"http://10.2.2.3/", false, false},
		{"http://8.8.8.8/", true, false},
		{"https://metadata.google.internal/", false, false},
		{"http://169.254.169.254/", false, false},
		{"http://[::ffff:10.1.2.3]/", false, false},
		{"http://0x7f000001/", false, false},
		{"http://user@receiver/", false, false},
	} {
		if err := laptop.CheckURL(tc.url); (err == nil) != tc.laptop {
			t.Errorf("%s on a laptop: %v", tc.url, err)
		}
		if err := site.CheckURL(tc.url); (err == nil) != tc.site {
			t.Errorf("%s in a site: %v", tc.url, err)
		}
	}
}

// plain is the one way to write a URL that may pass without settings.
var plain = regexp.MustCompile(`^(?is:https)://(\[[0-9a-fA-F:.]+\]|([A-Za-z0-9_-]+\.)+[A-Za-z_-][A-Za-z0-9_-]*\.?|[0-9]+(\.[0-9]+){3})(:|:0*443)?(?s:[/?].*)?$`)

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{"https://example.com/", "https://[::1]:443/", "http://127.1", "https://0x7f.1/", "https://a@b/#c", "https://１２７.1/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if err := (safedial.Policy{}).CheckURL(raw); err == nil && (!plain.MatchString(raw) || strings.Contains(raw, "#")) {
			t.Fatalf("%q passes", raw)
		}
	})
}
