package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// refusal is a request that the relay has to refuse, and how.
type refusal struct {
	rule         string
	method, path string
	body         any
	options      []option
	status       int
	// code ends the problem's type; field is what the problem names.
	code, field string
}

const malformed, invalid = "malformed-json", "invalid-field"

func TestARefusalIsAProblemThatSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	n.register(t, newEndpoint{ID: "taken", URL: newHook(t).url, EventTypes: []string{"never"}})
	var table []refusal
	table = append(table, refusedCallers(n)...)
	table = append(table, refusedAddresses(n)...)
	table = append(table, refusedEvents(n)...)
	table = append(table, refusedJSON(n)...)
	table = append(table, refusedEndpoints(n)...)
	table = append(table, refusedLists(n)...)
	for _, tc := range table {
		t.Run(tc.rule, func(t *testing.T) {
			t.Parallel()
			r := n.send(t, tc.method, tc.path, tc.body, tc.options...).must(t, tc.status)
			if got := r.header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("Content-Type is %q", got)
			}
			p := as[problem](t, r)
			if p.Status != tc.status || p.Type != "urn:webhookrelay:problem:"+tc.code || p.Field != tc.field || p.Detail == "" || p.Title == "" {
				t.Errorf("got %+v, want code %s and field %q", p, tc.code, tc.field)
			}
			if tc.status == http.StatusUnauthorized && r.header.Get("WWW-Authenticate") == "" {
				t.Error("no WWW-Authenticate")
			}
			if tc.status == http.StatusMethodNotAllowed && r.header.Get("Allow") == "" {
				t.Error("no Allow")
			}
		})
	}
}

func refusedCallers(n tenant) []refusal {
	const code = "unauthenticated"
	var table []refusal
	for rule, o := range map[string]option{
		"WithoutAKey":              withoutHeader("Authorization"),
		"WithAWrongKey":            header("Authorization", "Bearer relay_wrong"),
		"WithAnEmptyKey":           header("Authorization", "Bearer "),
		"WithAnotherScheme":        header("Authorization", "Basic "+n.key),
		"WithTheKeyAlone":          header("Authorization", n.key),
		"WithAKeyThatOnlyBeginsSo": header("Authorization", "Bearer "+n.key[:len(n.key)-1]),
	} {
		table = append(table,
			refusal{rule + "/Reading", http.MethodGet, n.at(""), nil, []option{o}, 401, code, ""},
			refusal{rule + "/Posting", http.MethodPost, n.at("/events"), eventBody("a", "1"), []option{o}, 401, code, ""},
			// Whether something exists is nothing to tell a stranger.
			refusal{rule + "/OfNobody", http.MethodGet, "/v1/tenants/nobody/events/none", nil, []option{o}, 401, code, ""},
		)
	}
	return append(table, refusal{"WithoutAKey/Redriving", http.MethodPost, "/v1/dead-letters/redrive", nil, []option{withoutHeader("Authorization")}, 401, code, ""})
}

func refusedAddresses(n tenant) []refusal {
	const code = "not-found"
	missing := func(rule, method, path string, body any, options ...option) refusal {
		return refusal{"Unknown" + rule, method, path, body, options, 404, code, ""}
	}
	wrongMethod := func(method, path string) refusal {
		return refusal{"Method/" + method + path[strings.LastIndex(path, "/"):], method, path, nil, nil, 405, "method-not-allowed", ""}
	}
	unknownEvent := "evt_01JGFJJZ00E1E1E1E1E1E1E1E1"
	return []refusal{
		missing("Tenant/Shown", http.MethodGet, "/v1/tenants/nobody", nil),
		missing("Tenant/OfAnEvent", http.MethodPost, "/v1/tenants/nobody/events", eventBody("a", "1")),
		missing("Tenant/OfAnEndpoint", http.MethodPost, "/v1/tenants/nobody/endpoints", map[string]string{"url": "https://example.com/"}),
		missing("Tenant/OfEvents", http.MethodGet, "/v1/tenants/nobody/events", nil),
		missing("Tenant/OfDeliveries", http.MethodGet, "/v1/tenants/nobody/deliveries", nil),
		missing("Tenant/OfEndpoints", http.MethodGet, "/v1/tenants/nobody/endpoints", nil),
		missing("Tenant/WithAnImpossibleID", http.MethodGet, "/v1/tenants/no%20body/endpoints", nil, undocumented),
		missing("Endpoint/Shown", http.MethodGet, n.at("/endpoints/none"), nil),
		missing("Endpoint/Changed", http.MethodPatch, n.at("/endpoints/none"), map[string]string{"state": "enabled"}),
		missing("Endpoint/Removed", http.MethodDelete, n.at("/endpoints/none"), nil),
		missing("Endpoint/Secret", http.MethodGet, n.at("/endpoints/none/secret"), nil),
		missing("Endpoint/Rotated", http.MethodPost, n.at("/endpoints/none/secret/rotate"), nil),
		missing("Event/OfTheRelay", http.MethodGet, n.at("/events/%s", unknownEvent), nil),
		missing("Event/OfTheCaller", http.MethodGet, n.at("/events/none"), nil),
		missing("Event/WithAnImpossibleID", http.MethodGet, n.at("/events/%s", "a%2Fb%00%F0%9F%98%80"), nil),
		missing("Delivery/Shown", http.MethodGet, n.at("/deliveries/dlv_01JGFJJZ00E1E1E1E1E1E1E1E1_taken"), nil),
		missing("Delivery/Retried", http.MethodPost, n.at("/deliveries/dlv_01JGFJJZ00E1E1E1E1E1E1E1E1_taken/retry"), nil),
		missing("Delivery/WithAnImpossibleID", http.MethodGet, n.at("/deliveries/none"), nil),
		missing("Address", http.MethodGet, "/v2/tenants", nil, undocumented),
		missing("Address/Below", http.MethodGet, n.at("/subscriptions"), nil, undocumented),
		wrongMethod(http.MethodDelete, "/v1/tenants"),
		wrongMethod(http.MethodPost, n.at("")),
		wrongMethod(http.MethodPut, n.at("/events")),
		wrongMethod(http.MethodDelete, n.at("/events/%s", unknownEvent)),
		wrongMethod(http.MethodPut, n.at("/endpoints/taken")),
		wrongMethod(http.MethodGet, n.at("/endpoints/taken/secret/rotate")),
		wrongMethod(http.MethodPost, n.at("/deliveries")),
		wrongMethod(http.MethodGet, "/v1/dead-letters/redrive"),
		wrongMethod(http.MethodPost, "/healthz"),
	}
}

func refusedEvents(n tenant) []refusal {
	at := n.at("/events")
	bad := func(rule, body, field string, options ...option) refusal {
		return refusal{"Event/" + rule, http.MethodPost, at, body, options, 400, invalid, field}
	}
	table := []refusal{
		bad("WithoutType", `{"data":{}}`, "type"),
		bad("WithoutData", `{"type":"a"}`, "data"),
		bad("TypeIsNull", `{"type":null,"data":{}}`, "type"),
		bad("TypeIsANumber", `{"type":1,"data":{}}`, "type"),
		bad("IDIsANumber", `{"type":"a","data":{},"id":1}`, "id"),
		bad("IDWithADot", `{"type":"a","data":{},"id":"a.b"}`, "id"),
		bad("IDTooLong", fmt.Sprintf(`{"type":"a","data":{},"id":%q}`, strings.Repeat("a", 65)), "id"),
		bad("IDOfTheRelaysForm", `{"type":"a","data":{},"id":"evt_01JGFJJZ00E1E1E1E1E1E1E1E1"}`, "id"),
		bad("TimestampIsANumber", `{"type":"a","data":{},"timestamp":1769860800}`, "timestamp"),
		bad("TimestampIsADate", `{"type":"a","data":{},"timestamp":"2026-01-31"}`, "timestamp"),
		bad("TimestampWithoutZone", `{"type":"a","data":{},"timestamp":"2026-01-31T12:00:00"}`, "timestamp"),
		bad("TimestampBeforeTime", `{"type":"a","data":{},"timestamp":"1969-12-31T23:59:59Z"}`, "timestamp"),
		bad("TimestampOfNoDay", `{"type":"a","data":{},"timestamp":"2026-02-30T12:00:00Z"}`, "timestamp"),
		bad("KeyTooLong", eventBody("a", "1"), "Idempotency-Key", key(strings.Repeat("k", 257))),
		{"Event/DataTooLarge", http.MethodPost, at, eventBody("a", `"`+strings.Repeat("x", maxData-1)+`"`), nil, 413, "too-large", ""},
		{"Event/RequestTooLarge", http.MethodPost, at, eventBody("a", `"`+strings.Repeat("x", 4*maxData)+`"`), nil, 413, "too-large", ""},
		{"Event/WithoutContentType", http.MethodPost, at, eventBody("a", "1"), []option{withoutHeader("Content-Type")}, 415, "unsupported-media-type", ""},
		{"Event/AsText", http.MethodPost, at, eventBody("a", "1"), []option{header("Content-Type", "text/plain")}, 415, "unsupported-media-type", ""},
		{"Event/AsAForm", http.MethodPost, at, "type=a&data=1", []option{header("Content-Type", "application/x-www-form-urlencoded")}, 415, "unsupported-media-type", ""},
	}
	for _, name := range []string{"", " ", ".", "a.", ".a", "a..b", "a b", "a-b", "a.*", "é", `a\u0000`, strings.Repeat("a", 129)} {
		table = append(table, bad(fmt.Sprintf("Type%.10q", name), fmt.Sprintf(`{"type":"%s","data":{}}`, name), "type"))
	}
	return table
}

func refusedJSON(n tenant) []refusal {
	at := n.at("/events")
	bad := func(rule, body string) refusal {
		return refusal{"JSON/" + rule, http.MethodPost, at, body, nil, 400, malformed, ""}
	}
	named := func(rule, method, path, body, field string) refusal {
		return refusal{"JSON/" + rule, method, path, body, nil, 400, invalid, field}
	}
	return []refusal{
		bad("Nothing", ``),
		bad("AWord", `hello`),
		bad("AList", `[{"type":"a","data":1}]`),
		bad("AString", `"a"`),
		bad("Null", `null`),
		bad("CutOff", `{"type":"a","data":{"b":1`),
		bad("CutOffAfterAName", `{"type"`),
		bad("ATrailingComma", `{"type":"a","data":1,}`),
		bad("ASecondObject", `{"type":"a","data":1}{}`),
		bad("SomethingBehind", `{"type":"a","data":1} x`),
		bad("NoQuotes", `{type:"a",data:1}`),
		bad("AComment", `{"type":"a",/* */"data":1}`),
		bad("NaN", `{"type":"a","data":NaN}`),
		bad("ALeadingZero", `{"type":"a","data":01}`),
		bad("AControlCharacter", "{\"type\":\"a\",\"data\":\"\x01\"}"),
		bad("ABadEscape", `{"type":"a","data":"\x"}`),
		bad("InvalidUTF8InData", "{\"type\":\"a\",\"data\":\"\xff\"}"),
		bad("InvalidUTF8InAName", "{\"type\":\"a\",\"data\":{\"\xc3\x28\":1}}"),
		bad("AByteOrderMark", "\ufeff{\"type\":\"a\",\"data\":1}"),
		{"JSON/TooDeep", http.MethodPost, at, eventBody("a", strings.Repeat("[", 64)+strings.Repeat("]", 64)), nil, 400, "too-deep", ""},
		{"JSON/MuchTooDeep", http.MethodPost, at, eventBody("a", strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)), nil, 400, "too-deep", ""},
		named("AnUnknownField", http.MethodPost, at, `{"type":"a","data":1,"payload":2}`, "payload"),
		named("AFieldInAnotherCase", http.MethodPost, at, `{"Type":"a","data":1}`, "Type"),
		named("ARepeatedField", http.MethodPost, at, `{"type":"a","data":1,"data":2}`, "data"),
		named("AnUnknownFieldOfAnEndpoint", http.MethodPost, n.at("/endpoints"), `{"url":"https://example.com/","secrets":["x"]}`, "secrets"),
		named("AnUnknownFieldOfAChange", http.MethodPatch, n.at("/endpoints/taken"), `{"id":"other"}`, "id"),
		named("ARepeatedFieldOfAChange", http.MethodPatch, n.at("/endpoints/taken"), `{"state":"enabled","state":"disabled"}`, "state"),
		named("AnUnknownFieldOfATenant", http.MethodPut, n.at(""), `{"id":"x"}`, "id"),
		named("AnUnknownFieldOfARotation", http.MethodPost, n.at("/endpoints/taken/secret/rotate"), `{"overlap":1}`, "overlap"),
	}
}

func refusedEndpoints(n tenant) []refusal {
	at, taken := n.at("/endpoints"), n.at("/endpoints/taken")
	post := func(rule, body, field string) refusal {
		return refusal{"Endpoint/" + rule, http.MethodPost, at, body, nil, 400, invalid, field}
	}
	patch := func(rule, body, field string) refusal {
		return refusal{"EndpointChange/" + rule, http.MethodPatch, taken, body, nil, 400, invalid, field}
	}
	rotate := func(rule, body string) refusal {
		return refusal{"Rotation/" + rule, http.MethodPost, taken + "/secret/rotate", body, nil, 400, invalid, "overlap_seconds"}
	}
	table := []refusal{
		post("WithoutURL", `{}`, "url"),
		post("URLIsANumber", `{"url":1}`, "url"),
		post("URLIsNull", `{"url":null}`, "url"),
		post("IDWithADot", `{"url":"https://example.com/","id":"a.b"}`, "id"),
		post("IDTooLong", fmt.Sprintf(`{"url":"https://example.com/","id":%q}`, strings.Repeat("a", 65)), "id"),
		post("DescriptionTooLong", fmt.Sprintf(`{"url":"https://example.com/","description":%q}`, strings.Repeat("a", 1025)), "description"),
		post("DescriptionWithABell", `{"url":"https://example.com/","description":"\u0007"}`, "description"),
		post("UnknownScheme", `{"url":"https://example.com/","signature":"v2"}`, "signature"),
		post("PatternsAreAString", `{"url":"https://example.com/","event_types":"a"}`, "event_types"),
		post("PatternIsANumber", `{"url":"https://example.com/","event_types":[1]}`, "event_types"),
		post("TooManyPatterns", `{"url":"https://example.com/","event_types":["a"`+strings.Repeat(`,"a"`, 100)+`]}`, "event_types"),
		post("TimeoutTooLong", `{"url":"https://example.com/","timeout_seconds":31}`, "timeout_seconds"),
		post("TimeoutOfNothing", `{"url":"https://example.com/","timeout_seconds":0}`, "timeout_seconds"),
		post("TimeoutIsAFraction", `{"url":"https://example.com/","timeout_seconds":1.5}`, "timeout_seconds"),
		post("ScheduleTooLong", `{"url":"https://example.com/","retry_schedule":[1`+strings.Repeat(`,1`, 25)+`]}`, "retry_schedule"),
		post("ScheduleOfMoreThan80Hours", `{"url":"https://example.com/","retry_schedule":[288000,1]}`, "retry_schedule"),
		post("ScheduleWithANegativeWait", `{"url":"https://example.com/","retry_schedule":[-1]}`, "retry_schedule"),
		post("ScheduleWithANull", `{"url":"https://example.com/","retry_schedule":[null]}`, "retry_schedule"),
		post("RateWithoutSeconds", `{"url":"https://example.com/","rate_limit":{"count":1}}`, "rate_limit"),
		post("RateTooHigh", `{"url":"https://example.com/","rate_limit":{"count":501,"seconds":1}}`, "rate_limit.count"),
		post("RateOfADay", `{"url":"https://example.com/","rate_limit":{"count":1,"seconds":86400}}`, "rate_limit.seconds"),
		post("RateWithMore", `{"url":"https://example.com/","rate_limit":{"count":1,"seconds":1,"burst":2}}`, "rate_limit.burst"),
		post("RateIsANumber", `{"url":"https://example.com/","rate_limit":10}`, "rate_limit"),
		post("ConcurrencyTooHigh", `{"url":"https://example.com/","max_concurrency":11}`, "max_concurrency"),
		post("ChannelWithAColon", `{"url":"https://example.com/","channels":["a:b"]}`, "channels"),
		post("TagTwice", `{"url":"https://example.com/","tags":["a","a"]}`, "tags"),
		post("MetadataOfNumbers", `{"url":"https://example.com/","metadata":{"a":1}}`, "metadata"),
		post("MetadataOfNull", `{"url":"https://example.com/","metadata":{"a":null}}`, "metadata"),
		post("MetadataTwice", `{"url":"https://example.com/","metadata":{"a":"1","\u0061":"2"}}`, "metadata"),
		post("MetadataTooLong", fmt.Sprintf(`{"url":"https://example.com/","metadata":{"a":%q}}`, strings.Repeat("a", 257)), "metadata.a"),
		patch("ChannelsAreNull", `{"channels":null}`, "channels"),
		patch("ConcurrencyOfNothing", `{"max_concurrency":0}`, "max_concurrency"),
		patch("UnknownState", `{"state":"asleep"}`, "state"),
		patch("EmptyState", `{"state":""}`, "state"),
		patch("StateIsNull", `{"state":null}`, "state"),
		patch("EmptyURL", `{"url":""}`, "url"),
		patch("PatternsAreNull", `{"event_types":null}`, "event_types"),
		rotate("OverlapIsAString", `{"overlap_seconds":"1"}`),
		rotate("OverlapIsAFraction", `{"overlap_seconds":1.5}`),
		rotate("OverlapBelowZero", `{"overlap_seconds":-1}`),
		rotate("OverlapAboveAWeek", `{"overlap_seconds":604801}`),
		rotate("OverlapBeyondInt64", `{"overlap_seconds":9223372036854775808}`),
		{"Endpoint/IDTaken", http.MethodPost, at, `{"url":"https://example.com/","id":"taken"}`, nil, 409, "already-exists", ""},
		{"Endpoint/AsText", http.MethodPost, at, `{"url":"https://example.com/"}`, []option{header("Content-Type", "text/plain")}, 415, "unsupported-media-type", ""},
		{"Endpoint/RequestTooLarge", http.MethodPost, at, fmt.Sprintf(`{"url":%q}`, strings.Repeat("a", 70_000)), nil, 413, "too-large", ""},
		{"Tenant/WithADot", http.MethodPut, "/v1/tenants/a.b", nil, []option{undocumented}, 400, invalid, "tenant"},
		{"Tenant/TooLong", http.MethodPut, "/v1/tenants/" + strings.Repeat("a", 65), nil, []option{undocumented}, 400, invalid, "tenant"},
		{"Tenant/NameTooLong", http.MethodPut, n.at(""), fmt.Sprintf(`{"name":%q}`, strings.Repeat("a", 257)), nil, 400, invalid, "name"},
		{"Tenant/NameIsAList", http.MethodPut, n.at(""), `{"name":[]}`, nil, 400, invalid, "name"},
	}
	for rule, secret := range map[string]string{
		"TooShort":        fmt.Sprintf("%q", ownSecret("whsec_", 23)),
		"TooLong":         fmt.Sprintf("%q", ownSecret("whsec_", 65)),
		"WithoutPrefix":   fmt.Sprintf("%q", ownSecret("", 32)),
		"OfAnotherScheme": fmt.Sprintf("%q", ownSecret("whsk_", 32)),
		"NotBase64":       `"whsec_` + strings.Repeat("!", 44) + `"`,
		"Empty":           `""`,
		"ANumber":         `1`,
		"Null":            `null`,
	} {
		table = append(table,
			post("Secret/"+rule, fmt.Sprintf(`{"url":"https://example.com/","secret":%s}`, secret), "secret"),
			refusal{"Rotation/Secret/" + rule, http.MethodPost, taken + "/secret/rotate", fmt.Sprintf(`{"secret":%s}`, secret), nil, 400, invalid, "secret"})
	}
	for rule, tc := range map[string]struct{ headers, field string }{
		"NotAnObject":   {`["a"]`, "headers"},
		"Null":          {`null`, "headers"},
		"ANumber":       {`{"X-A":1}`, "headers"},
		"Signature":     {`{"Webhook-Signature":"v1,a"}`, "headers.Webhook-Signature"},
		"Host":          {`{"host":"example.org"}`, "headers.host"},
		"Connection":    {`{"X-A":"1","Connection":"close"}`, "headers.Connection"},
		"ContentLength": {`{"content-length":"1"}`, "headers.content-length"},
		"Encoding":      {`{"Transfer-Encoding":"chunked"}`, "headers.Transfer-Encoding"},
		"Trace":         {`{"X-Amzn-Trace-Id":"1"}`, "headers.X-Amzn-Trace-Id"},
		"TwiceByCase":   {`{"X-A":"1","x-a":"2"}`, "headers.x-a"},
		"Twice":         {`{"X-A":"1","X-A":"2"}`, "headers.X-A"},
		"LineBreak":     {`{"X-A":"1\r\nX-B: 2"}`, "headers.X-A"},
		"NameLineBreak": {`{"X-A: 1\r\nX-B":"2"}`, "headers"},
		"Hidden":        {`{"X-A":"` + hidden + `"}`, "headers.X-A"},
		"Empty":         {`{"X-A":""}`, "headers.X-A"},
		"TooLong":       {`{"X-A":"` + strings.Repeat("a", 4096) + `"}`, "headers"},
	} {
		table = append(table,
			post("Headers/"+rule, fmt.Sprintf(`{"url":"https://example.com/","headers":%s}`, tc.headers), tc.field),
			patch("Headers/"+rule, fmt.Sprintf(`{"headers":%s}`, tc.headers), tc.field))
	}
	for rule, url := range map[string]string{
		"FTP":              "ftp://example.com/",
		"NoScheme":         "example.com/hook",
		"NoSchemeButSlash": "//example.com/hook",
		"APath":            "/hook",
		"Javascript":       "javascript:alert(1)",
		"Mailto":           "mailto:a@example.com",
		"NoHost":           "https:///hook",
		"OnlyAPort":        "https://:443/",
		"Credentials":      "https://user:secret@example.com/",
		"AUserName":        "https://user@example.com/",
		"AFragment":        "https://example.com/#top",
		"AnEmptyFragment":  "https://example.com/#",
		"PortZero":         "https://example.com:0/",
		"PortTooLarge":     "https://example.com:65536/",
		"ASpace":           "https://exa mple.com/",
		"ABadEscape":       "https://example.com/%zz",
		"ALineBreak":       `https://example.com/\r\nX: y`,
		"APrivateAddress":  "https://10.0.0.1/",
		"TheMetadata":      "http://169.254.169.254/latest/meta-data/",
		"PrivateIPv6":      "https://[fd00::1]/",
		"MappedIPv6":       "https://[::ffff:10.0.0.1]/",
		"NAT64":            "https://[64:ff9b::a00:1]/",
		"Hexadecimal":      "https://0x7f000001/",
		"OneNumber":        "https://2130706433/",
		"FullWidthDigits":  "https://１２７.0.0.1/",
		"MetadataByName":   "https://metadata.google.internal/",
		"TooLong":          "https://example.com/" + strings.Repeat("a", 2048),
	} {
		table = append(table,
			post("URL/"+rule, fmt.Sprintf(`{"url":"%s"}`, url), "url"),
			patch("URL/"+rule, fmt.Sprintf(`{"url":"%s"}`, url), "url"))
	}
	for _, pattern := range []string{"", "a.", ".a", "a..b", "a*", "*a", "a.b*", "**", "a-b", "é", strings.Repeat("a", 129)} {
		table = append(table, post(fmt.Sprintf("Pattern%.10q", pattern),
			fmt.Sprintf(`{"url":"https://example.com/","event_types":["ok",%q]}`, pattern), "event_types"))
	}
	return table
}

func refusedLists(n tenant) []refusal {
	var table []refusal
	for name, list := range map[string]string{
		"Tenants": "/v1/tenants", "Events": n.at("/events"), "Endpoints": n.at("/endpoints"),
		"Deliveries": n.at("/deliveries"), "DeadLetters": "/v1/dead-letters",
	} {
		for _, tc := range []struct{ query, field string }{
			{"limit=0", "limit"},
			{"limit=-1", "limit"},
			{"limit=251", "limit"},
			{"limit=many", "limit"},
			{"limit=99999999999999999999", "limit"},
			{"limit=5&limit=6", "limit"},
			{"limit=", "limit"},
			{"cursor=nonsense", "cursor"},
			{"cursor=bm9uc2Vuc2U", "cursor"}, // base64, of nonsense
			{"page=2", "page"},
			{"Limit=5", "Limit"},
		} {
			table = append(table, refusal{name + "/" + tc.query, http.MethodGet, list + "?" + tc.query, nil, nil, 400, invalid, tc.field})
		}
	}
	for _, tc := range []struct{ query, field string }{
		{"status=done", "status"},
		{"status=Dead", "status"},
		{"status=dead&status=queued", "status"},
		{"endpoint=a.b", "endpoint"},
		{"state=dead", "state"},
	} {
		table = append(table, refusal{"Deliveries/" + tc.query, http.MethodGet, n.at("/deliveries?") + tc.query, nil, nil, 400, invalid, tc.field})
	}
	return table
}

func TestACursorBelongsToItsList(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	n.post(t, "a", "1")
	n.post(t, "a", "2")
	cursor := as[page[event]](t, n.get(t, n.at("/events?limit=1"))).NextCursor
	if cursor == nil {
		t.Fatal("no cursor after one of two events")
	}
	for _, list := range []string{n.at("/deliveries"), n.at("/endpoints"), "/v1/tenants", "/v1/dead-letters"} {
		r := n.send(t, http.MethodGet, list+"?cursor="+*cursor, nil).must(t, http.StatusBadRequest)
		if p := as[problem](t, r); p.Field != "cursor" {
			t.Errorf("%s: %+v", list, p)
		}
	}
}

func TestTheAllowHeaderNamesEveryMethod(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	for _, tc := range []struct {
		method, path string
		want         []string
	}{
		{http.MethodPut, n.at("/events"), []string{"GET", "POST"}},
		{http.MethodPut, n.at("/endpoints"), []string{"GET", "POST"}},
		{http.MethodPost, n.at("/endpoints/e"), []string{"DELETE", "GET", "PATCH"}},
		{http.MethodDelete, n.at(""), []string{"GET", "PUT"}},
		{http.MethodGet, "/v1/dead-letters/redrive", []string{"POST"}},
		{http.MethodGet, n.at("/deliveries/dlv/retry"), []string{"POST"}},
	} {
		allow := n.send(t, tc.method, tc.path, nil).must(t, http.StatusMethodNotAllowed).header.Get("Allow")
		for _, method := range tc.want {
			if !strings.Contains(allow, method) {
				t.Errorf("%s %s: Allow is %q, without %s", tc.method, tc.path, allow, method)
			}
		}
	}
}
