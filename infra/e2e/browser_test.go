package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// screenshots lie here, to be looked at.
const screenshots = "../../.cache/screenshots"

// chromium is one process for all tests; each has a window of its own.
var chromium struct {
	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	err    error
	// axe is the program that looks for what some people cannot use.
	axe string
}

// needsBrowser skips the test without Chromium and axe-core. Where nothing may
// be skipped, it fails.
func needsBrowser(t *testing.T) {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	axe, err := os.ReadFile(filepath.Join(installed, "axe/node_modules/axe-core/axe.min.js"))
	if path == "" || err != nil {
		const install = "infra/e2e/browser/install.sh"
		if os.Getenv("RELAY_TEST_REQUIRED") == "1" {
			t.Fatalf("run %s: Chromium at %q, axe-core: %v", install, path, err)
		}
		t.Skipf("no browser: run %s", install)
	}
	chromium.once.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
			chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true))
		chromium.ctx, chromium.cancel = chromedp.NewExecAllocator(context.Background(), options...)
		chromium.ctx, _ = chromedp.NewContext(chromium.ctx) // ends with the allocator
		chromium.axe = string(axe)
		chromium.err = chromedp.Do(chromium.ctx)
	})
	if chromium.err != nil {
		t.Fatalf("Chromium does not start: %v", chromium.err)
	}
}

// closeBrowser ends the browser, if one was started.
func closeBrowser() {
	if chromium.cancel != nil {
		chromium.cancel()
	}
}

// tab is a window with cookies of its own.
type tab struct {
	t   *testing.T
	ctx context.Context
	// base is the relay's.
	base string
	mu   sync.Mutex
	// complaints are what the browser said on its console, and the requests that
	// went elsewhere than to the relay.
	complaints []string
}

// size of a window.
type size struct{ width, height int64 }

var (
	desk  = size{1280, 900}
	phone = size{375, 812}
)

// gatewayAddress is the relay's address as API Gateway on AWS has it, with nothing
// before the stage. LocalStack has more there, which functions are not told of.
func gatewayAddress(t *testing.T, base string) string {
	t.Helper()
	at, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	last := strings.LastIndexByte(at.Path, '/')
	if last <= 0 {
		return base
	}
	stage := at.Path[last:]
	at.Path = at.Path[:last]
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(at)
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(proxy.Close)
	return proxy.URL + stage
}

func newTab(t *testing.T) *tab {
	t.Helper()
	needsBrowser(t)
	ctx, cancel := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, base: gatewayAddress(t, relay.base)}
	b.run() // opens it; from then on each step has a limit of its own
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	command(b, network.Enable, network.EnableParams{})
	b.resize(desk)
	return b
}

// command sends one of the browser's own commands.
func command[P, R any](b *tab, c cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, c, params); err != nil {
		b.t.Fatalf("%s: %v", c.Method, err)
	}
}

func (b *tab) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			b.complain("console: %+v", e.Args)
		}
	case *runtime.EventExceptionThrown:
		b.complain("exception: %+v", e.ExceptionDetails)
	case *log.EventEntryAdded:
		refused := strings.Contains(e.Entry.Text, "422") // a form with faults
		if e.Entry.Level == "error" && !refused {
			b.complain("%s %s", e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, b.base) && !strings.HasPrefix(e.Request.URL, "data:") && !strings.HasPrefix(e.Request.URL, "about:") {
			b.complain("a request to %s", e.Request.URL)
		}
	}
}

func (b *tab) complain(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, fmt.Sprintf(format, args...))
}

// quiet fails the test if the browser had anything to complain of.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complaints) > 0 {
		b.t.Errorf("the browser complains:\n%s", strings.Join(b.complaints, "\n"))
	}
}

// run takes steps in the window, each of which has to succeed soon.
func (b *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := b.ctx, context.CancelFunc(func() {})
	if len(steps) > 0 {
		ctx, cancel = context.WithTimeout(ctx, patience)
	}
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.shoot("failed-" + strings.ReplaceAll(b.t.Name(), "/", "-"))
		b.t.Fatalf("%v; at %s:\n%s", err, b.at(), b.text())
	}
}

// ask evaluates an expression on the page.
func ask[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%v; at %s", err, b.at())
	}
	return value
}

func (b *tab) resize(s size) {
	b.t.Helper()
	command(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: s.width, Height: s.height, DeviceScaleFactor: 1, Mobile: s.width < 600,
	})
}

// scheme makes the system light or dark.
func (b *tab) scheme(name string) {
	b.t.Helper()
	command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.base + path))
}

func (b *tab) at() string {
	at, _ := chromedp.Run(b.ctx, chromedp.Location()) // only to say where it was
	return strings.TrimPrefix(at, b.base)
}

// text is what is to be read on the page.
func (b *tab) text() string {
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`(document.querySelector("main") || document.body).innerText`)) // may be between pages
	return text
}

// await waits until the page says all the texts.
func (b *tab) await(texts ...string) {
	b.t.Helper()
	eventually(b.t, patience, func() (bool, string) {
		seen := b.text()
		for _, text := range texts {
			if !strings.Contains(seen, text) {
				return false, fmt.Sprintf("%s does not say %q:\n%s", b.at(), text, seen)
			}
		}
		return true, ""
	})
}

// what finds the link or button with the text.
func what(text string) chromedp.Search {
	return chromedp.Search(fmt.Sprintf(`//main//*[self::a or self::button or self::summary][contains(normalize-space(.), %q)]`, text))
}

// press presses the button, follows the link or opens what has the text.
func (b *tab) press(text string) {
	b.t.Helper()
	b.run(chromedp.Click(what(text), chromedp.NodeVisible))
}

// turn is press of what leads to another page, and waits for that.
func (b *tab) turn(text string) {
	b.t.Helper()
	b.run(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.RunResponse(ctx, chromedp.Click(what(text), chromedp.NodeVisible))
		return err
	}))
}

// fill types into the field, in place of what was there.
func (b *tab) fill(id, text string) {
	b.t.Helper()
	b.run(chromedp.SetValue(chromedp.CSS("#"+id), text))
}

// typeIn is fill by the keyboard, so that the page hears of each letter.
func (b *tab) typeIn(id, text string) {
	b.t.Helper()
	ask[bool](b, fmt.Sprintf(`document.getElementById(%q).value = "", true`, id))
	b.run(chromedp.SendKeys(chromedp.CSS("#"+id), text))
}

func (b *tab) tick(id string) {
	b.t.Helper()
	b.run(chromedp.Click(chromedp.CSS("#" + id)))
}

// shoot keeps a picture of the whole page.
func (b *tab) shoot(name string) {
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Logf("no picture: %v", err)
		return
	}
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(screenshots, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// finding is something that some people cannot use.
type finding struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// accessible fails the test for each violation of WCAG 2.2 AA that axe-core finds.
func (b *tab) accessible() {
	b.t.Helper()
	const look = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => JSON.stringify(r.violations))`
	ask[bool](b, chromium.axe+"\n;true")
	var findings []finding
	if err := json.Unmarshal([]byte(ask[string](b, look)), &findings); err != nil {
		b.t.Fatal(err)
	}
	for _, f := range findings {
		b.t.Errorf("%s: %s, %s: %s\n%+v", b.at(), f.ID, f.Impact, f.Help, f.Nodes)
	}
}

// fits fails the test when the page is wider than the window.
func (b *tab) fits() {
	b.t.Helper()
	over := ask[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`)
	if over > 0 {
		b.t.Errorf("%s is %d pixels too wide", b.at(), over)
	}
}

// look holds a page against axe-core in both colours, and takes pictures of it
// at the sizes of a desk and a phone. Where tests may be skipped, once is enough.
func (b *tab) look(name string) {
	b.t.Helper()
	if os.Getenv("RELAY_TEST_REQUIRED") != "1" && os.Getenv("RELAY_E2E_PICTURES") == "" {
		b.accessible()
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		b.accessible()
		b.shoot(name + "-" + scheme)
	}
	b.scheme("light")
	b.resize(phone)
	b.accessible()
	b.fits()
	b.shoot(name + "-phone")
	b.resize(size{320, 700})
	b.fits()
	b.resize(desk)
}
