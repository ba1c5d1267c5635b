package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"webhookrelay/shared/webhook"
)

func TestTheOverviewFitsAScreen(t *testing.T) {
	t.Parallel()
	var screens []string
	for _, args := range [][]string{nil, {"help"}, {"--help"}} {
		got := runWith(t, nil, nil, args...)
		if got.code != exitDone || got.err != "" {
			t.Errorf("%v: %+v", args, got)
		}
		screens = append(screens, got.out)
	}
	lines := strings.Split(strings.TrimRight(screens[0], "\n"), "\n")
	if screens[0] != screens[1] || screens[0] != screens[2] || len(lines) > 24 {
		t.Errorf("%d lines:\n%s", len(lines), screens[0])
	}
	for _, line := range lines {
		if utf8.RuneCountInString(line) > 80 {
			t.Errorf("more than 80 characters: %s", line)
		}
	}
	says(t, runWith(t, nil, nil, "help", "endpoints", "create").out, "relay endpoints create <url>", "--headers-file")
}

func TestThePageOfCommandsIsTheirs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	if got := runWith(t, nil, nil, "reference"); got.out != string(page) {
		t.Error("infra/docs/commands.md is not that of the commands: run make reference")
	}
}

// parse parses a command line without running it.
func parse(args ...string) (*kong.Context, error) {
	var c commands
	return parser(&c, quiet(io.Discard)).Parse(args)
}

// commandNames lists every command that does something, such as "endpoints create".
func commandNames(t *testing.T) []string {
	t.Helper()
	parsed, err := parse("key")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, leaf := range parsed.Model.Leaves(true) {
		names = append(names, strings.TrimPrefix(leaf.Path(), "relay "))
	}
	return names
}

const manual = "../../docs/cli.md"

func TestEveryCommandIsDocumentedWithAnExampleThatParses(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		example, ok := strings.CutPrefix(line, "relay ")
		if !ok {
			continue
		}
		args := shellWords(example)
		if args[0] == "help" {
			continue
		}
		parsed, err := parse(args...)
		if err != nil {
			t.Errorf("relay %s: %v", example, err)
			continue
		}
		node := parsed.Selected()
		shown[strings.TrimPrefix(node.Path(), "relay ")] = true
	}
	for _, name := range commandNames(t) {
		if !shown[name] {
			t.Errorf("cli.md shows no relay %s", name)
		}
	}
}

func TestExitCodesAreDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("exit.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`(?m)^\texit\w+ += (\d+)`).FindAllStringSubmatch(string(source), -1)
	if len(codes) != 9 {
		t.Fatalf("%d exit codes", len(codes))
	}
	for _, code := range codes {
		says(t, string(raw), "| "+code[1]+" |")
	}
}

func TestWhichRelayIsCalled(t *testing.T) {
	t.Parallel()
	file := `current: staging
contexts:
  prod: {url: https://prod.example, tenant: acme, key: relay_acme.prod.x}
  staging: {url: https://staging.example, key_file: KEYFILE}
`
	keyFile := inFile(t, "relay_~.staging.x\n")
	config := inFile(t, strings.ReplaceAll(file, "KEYFILE", keyFile))
	all := map[string]string{"RELAY_CONFIG": config}
	env := func(pairs ...string) map[string]string {
		e := map[string]string{"RELAY_CONFIG": config}
		for i := 0; i < len(pairs); i += 2 {
			e[pairs[i]] = pairs[i+1]
		}
		return e
	}
	for rule, c := range map[string]struct {
		env   map[string]string
		flags remote
		want  target
	}{
		"WithoutAnythingTheLaptop":                 {env: map[string]string{"RELAY_CONFIG": "/nowhere"}, want: target{URL: laptopURL, Tenant: demoTenant}},
		"TheCurrentContext":                        {env: all, want: target{Context: "staging", URL: "https://staging.example", Key: "relay_~.staging.x"}},
		"TheContextOfTheEnvironment":               {env: env("RELAY_CONTEXT", "prod"), want: target{Context: "prod", URL: "https://prod.example", Key: "relay_acme.prod.x", Tenant: "acme"}},
		"TheContextOfAFlagBeatsTheEnvironment":     {env: env("RELAY_URL", "https://other.example", "RELAY_KEY", "relay_x.k.x", "RELAY_TENANT", "x"), flags: remote{Context: "prod"}, want: target{Context: "prod", URL: "https://prod.example", Key: "relay_acme.prod.x", Tenant: "acme"}},
		"TheEnvironmentBeatsTheFile":               {env: env("RELAY_URL", "https://other.example", "RELAY_KEY", "relay_x.k.x", "RELAY_TENANT", "y"), want: target{URL: "https://other.example", Key: "relay_x.k.x", Tenant: "y"}},
		"FlagsBeatAll":                             {env: env("RELAY_URL", "https://a.example", "RELAY_KEY", "relay_a.k.x", "RELAY_TENANT", "b"), flags: remote{URL: "https://c.example", Tenant: "d", KeyFile: keyFile}, want: target{URL: "https://c.example", Tenant: "d", Key: "relay_~.staging.x"}},
		"AContextsKeyGoesToItsURLAlone":            {env: all, flags: remote{URL: "https://elsewhere.example"}, want: target{URL: "https://elsewhere.example"}},
		"AContextsKeyDoesNotFollowTheEnvironment":  {env: env("RELAY_URL", "https://elsewhere.example"), want: target{URL: "https://elsewhere.example"}},
		"TheTenantIsThatOfTheKey":                  {env: env("RELAY_URL", "https://a.example", "RELAY_KEY", "relay_acme.k.x"), want: target{URL: "https://a.example", Key: "relay_acme.k.x", Tenant: "acme"}},
		"TheTenantOfAPortalTokenToo":               {env: env("RELAY_URL", "https://a.example", "RELAY_KEY", "portal_acme.k.x"), want: target{URL: "https://a.example", Key: "portal_acme.k.x", Tenant: "acme"}},
		"TheKeyOfANamedContextBeatsTheEnvironment": {env: env("RELAY_KEY", "relay_~.k.x"), flags: remote{Context: "staging", Tenant: "t"}, want: target{Context: "staging", URL: "https://staging.example", Key: "relay_~.staging.x", Tenant: "t"}},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			s := &session{getenv: func(name string) string { return c.env[name] }, remote: c.flags}
			got, err := s.target()
			got.urlFrom = ""
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestContexts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "config.yaml")
	env := map[string]string{"RELAY_CONFIG": path}
	do := func(input string, args ...string) outcome {
		t.Helper()
		return runWith(t, env, []option{typing(input)}, append([]string{"context"}, args...)...)
	}
	if got := do("", "list"); got.code != exitDone || !strings.Contains(got.err, "relay context set") {
		t.Errorf("%+v", got)
	}
	if got := do("relay_acme.k.secret\n", "set", "prod", "--url", "https://prod.example", "--tenant", "acme", "--key-stdin"); got.code != exitDone {
		t.Fatalf("%+v", got)
	}
	if got := do("", "set", "staging", "--url", "https://staging.example", "--key-file", "~/key"); got.code != exitDone {
		t.Fatalf("%+v", got)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	want := "*\tprod\thttps://prod.example\tacme\tset\n\tstaging\thttps://staging.example\t\tin ~/key\n"
	if got := do("", "list"); got.out != want {
		t.Errorf("got %q", got.out)
	}
	do("", "use", "staging")
	listed := do("", "list", "--json").out
	if shown := objectsIn(t, listed); len(shown) != 2 || shown[1]["current"] != true || strings.Contains(listed, "secret") {
		t.Errorf("%v", shown)
	}
	// A change leaves the other fields alone.
	do("", "set", "prod", "--tenant", "other")
	says(t, do("", "list").out, "prod\thttps://prod.example\tother\tset")
	for _, args := range [][]string{{"use", "prd"}, {"set", "x", "--url", "prod.example"}, {"set", "y"}} {
		if got := do("", args...); got.code != exitUsage {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		got := do("", "list")
		if got.code != exitUsage || strings.Contains(got.err, "secret") {
			t.Errorf("%+v", got)
		}
		says(t, got.err, "chmod 600")
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	rows := func(options ...option) string {
		var out strings.Builder
		s := &session{out: &out, err: io.Discard, zone: time.UTC, getenv: func(string) string { return "" }}
		for _, change := range options {
			change(s)
		}
		table := s.table("STATE", "TEXT")
		for _, row := range [][]string{{"dead", "a\x1b[2J\u202e\nb"}, {"delivered", "über"}} {
			if err := table.add(map[string]string{"state": row[0]}, row...); err != nil {
				t.Fatal(err)
			}
		}
		if err := table.end(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for rule, c := range map[string]struct {
		options []option
		want    string
	}{
		"IsTabSeparatedWithoutHeaderWhereNobodyReads": {want: "dead\ta\\u001b[2J\\u202e\\nb\ndelivered\tüber\n"},
		"IsAlignedAndColouredOnATerminal":             {options: []option{onTerminal}, want: "STATE      TEXT\n" + red + "dead       " + plain + "a\\u001b[2J\\u202e\\nb\n" + green + "delivered  " + plain + "über\n"},
		"HasNoColourWithNO_COLOR":                     {options: []option{onTerminal, with("NO_COLOR", "1")}, want: "STATE      TEXT\ndead       a\\u001b[2J\\u202e\\nb\ndelivered  über\n"},
		"HasNoColourOnADumbTerminal":                  {options: []option{onTerminal, with("TERM", "dumb")}, want: "STATE      TEXT\ndead       a\\u001b[2J\\u202e\\nb\ndelivered  über\n"},
		"IsOneObjectALineAsJSON":                      {options: []option{func(s *session) { s.remote.JSON = true }}, want: "{\"state\":\"dead\"}\n{\"state\":\"delivered\"}\n"},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			if got := rows(c.options...); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	env := map[string]string{"RELAY_CONFIG": inFile(t, "contexts: {prod: {url: 'https://a.example'}, dev: {url: 'https://b.example'}}")}
	for line, want := range map[string]string{
		"dl":                                 "dlq",
		"endpoints ":                         "create delete get list rotate secret test-filter update",
		"endpoints create --sec":             "--secret-file",
		"deliveries --status de":             "dead delivered",
		"events --context ":                  "dev prod",
		"completion ":                        "bash fish zsh",
		"endpoints --tenant ":                "",
		"deliveries --status dead --endpoin": "--endpoint",
	} {
		got := runWith(t, env, nil, append([]string{"complete", "--"}, strings.Split(line, " ")...)...)
		found := strings.Join(strings.Fields(got.out), " ")
		if found != want || got.code != exitDone {
			t.Errorf("%q: got %q, want %q; %+v", line, found, want, got)
		}
	}
	for shell := range completionScripts {
		says(t, runWith(t, nil, nil, "completion", shell).out, "relay complete -- ")
	}
}

func TestThereIsAdviceForEveryReasonOfAnAttempt(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../../shared/webhook/attempt.go")
	if err != nil {
		t.Fatal(err)
	}
	block, _, _ := strings.Cut(string(source), "// Reasons a delivery ends")
	reasons := regexp.MustCompile(`Reason = "(\w+)"`).FindAllStringSubmatch(block, -1)
	if len(reasons) < 20 {
		t.Fatalf("%d reasons", len(reasons))
	}
	for _, reason := range reasons {
		if advice[webhook.Reason(reason[1])] == "" {
			t.Errorf("nothing is said of %s", reason[1])
		}
	}
}
