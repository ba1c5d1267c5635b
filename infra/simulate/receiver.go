package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"webhookrelay/shared/seal"
	"webhookrelay/shared/signature"
	"webhookrelay/shared/webhook"
)

// postTimeout is the sender's.
const postTimeout = 15 * time.Second

// Answer is what a receiver does with a POST.
type Answer struct {
	Status int
	// After is how long it takes; beyond the sender's timeout it hangs.
	After time.Duration
	// RetryAfter is the wait it asks for.
	RetryAfter time.Duration
	// Control is what it tells the relay to do.
	Control webhook.Control
	// Breaks: it takes the event and the connection breaks before the answer.
	Breaks bool
}

// receiver is one endpoint's server.
type receiver struct {
	url    string
	tenant webhook.TenantID
	// script answers POSTs in order; the last answer repeats.
	script []Answer
	// key verifies signatures: the secret, or its public key.
	key       signature.Secret
	downUntil time.Time
	// healthy: it has recovered for good.
	healthy bool
	posts   int
}

// post is one POST that left the relay.
type post struct {
	webhook.DeliveryKey
	p  *process
	at time.Time
	// arrived: the receiver saw it; valid: with a good signature; took: it
	// answered 2xx, whether or not the relay heard.
	arrived, valid, took bool
	// aborted: the relay cut it short, and records nothing of it.
	aborted  bool
	recorded int
}

// sender signs as the real one does and posts to the receivers.
type sender struct {
	*host
	sealer *seal.Sealer
}

// Send implements dispatch.Sender.
func (s sender) Send(ctx context.Context, endpoint webhook.Endpoint, e webhook.Event) (webhook.Result, error) {
	secrets, err := s.sealer.Secrets(ctx, endpoint, s.p.now())
	if err != nil {
		return webhook.Result{}, err
	}
	w, at := s.p.w, s.p.now()
	sig, err := signature.Sign(e.ID, at, e.Body, secrets)
	if err != nil {
		return webhook.Result{Reason: webhook.ReasonBadSecret, Detail: err.Error()}, nil
	}
	header := http.Header{}
	header.Set(signature.HeaderID, string(e.ID))
	header.Set(signature.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(signature.HeaderSignature, sig)

	key := webhook.DeliveryKey{Tenant: e.Tenant, Event: e.Ref, Endpoint: endpoint.ID}
	made := &post{DeliveryKey: key, p: s.p, at: at}
	result := ask(ctx, s.p, opPost, string(key.ID()), func(c *call) webhook.Result {
		w.posts = append(w.posts, made)
		return w.arriveAt(endpoint.URL, header, e.Body, made, c)
	}, func(f Fault) webhook.Result {
		if f == Fails {
			w.posts = append(w.posts, made)
			return webhook.Result{Reason: webhook.ReasonConnectRefused}
		}
		return webhook.Result{Reason: webhook.ReasonReset}
	}, func(r webhook.Result) string { return fmt.Sprint(r.StatusCode, " ", r.Reason) })

	now := s.p.now()
	result.Duration = now.Sub(at)
	// As the real sender: the invocation's end cuts an attempt short, unless the
	// answer was there.
	if deadline, ok := ctx.Deadline(); ok && now.After(deadline) && !result.Delivered() {
		made.aborted = true
		return webhook.Result{Aborted: true, Duration: result.Duration}, nil
	}
	return result, nil
}

// arriveAt is the receiver's side of a POST.
func (w *World) arriveAt(url string, header http.Header, body []byte, made *post, c *call) webhook.Result {
	r := w.receivers[url]
	if r == nil {
		return webhook.Result{Reason: webhook.ReasonDNS}
	}
	made.arrived = true
	if r.key == "" { // nobody has told it yet
		return webhook.Result{Reason: webhook.ReasonHTTP4xx, StatusCode: http.StatusUnauthorized}
	}
	if err := signature.Verify(header, body, []signature.Secret{r.key}, w.Now()); err != nil {
		w.watch.unsigned(r, made, err)
		return webhook.Result{Reason: webhook.ReasonHTTP4xx, StatusCode: http.StatusUnauthorized}
	}
	made.valid = true
	w.watch.content(r, made, header, body)
	answer := Answer{Status: http.StatusOK}
	switch n := len(r.script); {
	case r.healthy:
	case w.Now().Before(r.downUntil):
		answer = Answer{Status: http.StatusServiceUnavailable}
	default:
		if n > 0 {
			answer = r.script[min(r.posts, n-1)]
		}
		r.posts++
	}
	made.took = answer.Status >= 200 && answer.Status < 300
	result := webhook.Result{StatusCode: answer.Status, Reason: reasonOf(answer.Status), RetryAfter: answer.RetryAfter, Control: answer.Control}
	c.in = answer.After
	if answer.Breaks {
		result = webhook.Result{Reason: webhook.ReasonReset}
	}
	if c.in > postTimeout {
		c.in, result = postTimeout, webhook.Result{Reason: webhook.ReasonTimeout}
	}
	if deadline, ok := c.p.ctx.Deadline(); ok && w.Now().Add(c.in).After(deadline.Add(-dispatchReserve)) {
		c.in = max(0, deadline.Add(-dispatchReserve).Sub(w.Now())) + time.Millisecond
		if result.Delivered() {
			result = webhook.Result{Reason: webhook.ReasonTimeout}
		}
	}
	return result
}

// dispatchReserve is what the dispatcher keeps of its time for recording.
const dispatchReserve = 8 * time.Second

func reasonOf(status int) webhook.Reason {
	switch {
	case status >= 200 && status < 300:
		return ""
	case status == http.StatusGone:
		return webhook.ReasonHTTP410
	case status == http.StatusTooManyRequests:
		return webhook.ReasonHTTP429
	case status >= 400 && status < 500:
		return webhook.ReasonHTTP4xx
	case status >= 500:
		return webhook.ReasonHTTP5xx
	}
	return webhook.ReasonRedirect
}

// payload is what the body says, read without the relay's help.
type payload struct {
	Type string `json:"type"`
	Data struct {
		Tenant webhook.TenantID `json:"tenant"`
		Intent int              `json:"intent"`
	} `json:"data"`
}

func readPayload(body []byte) (p payload, err error) {
	err = json.Unmarshal(body, &p)
	return p, err
}

// verifierOf is the key that a receiver is given for an endpoint.
func (w *World) verifierOf(e webhook.Endpoint) signature.Secret {
	secret, err := seal.New(w.sealing, w.Now).OpenSecret(context.Background(), e, e.Secrets[0])
	if err == nil && e.Scheme == webhook.SchemeEd25519 {
		secret, err = signature.PublicKey(secret)
	}
	if err != nil {
		panic(err) // the registry made it
	}
	return secret
}
