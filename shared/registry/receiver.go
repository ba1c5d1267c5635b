package registry

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"webhookrelay/shared/webhook"
)

// setReceiver sets where deliveries go and what headers go with them. What is
// nil stays as it is, and is not held against today's policy: an endpoint that
// would be refused by now can still be renamed or disabled.
func (r *Registry) setReceiver(ctx context.Context, e *webhook.Endpoint, to *string, headers []webhook.Header) error {
	if to != nil {
		if err := r.checkURL(*to); err != nil {
			return err
		}
		if headers == nil && len(e.Headers.Names) > 0 && !sameOrigin(e.URL, *to) {
			return &webhook.Invalid{Field: "headers", Reason: "must be given along with a url of another host or port: " +
				"values that are not shown are not handed on to someone else; {} removes them"}
		}
		e.URL = *to
	}
	if headers != nil {
		if err := webhook.CheckHeaders(headers); err != nil {
			return err
		}
		sealed, err := r.Sealer.SealHeaders(ctx, e.Tenant, e.ID, headers)
		if err != nil {
			return fmt.Errorf("seal the headers of endpoint %s: %w", e.ID, err)
		}
		e.Headers = sealed
	}
	return nil
}

func (r *Registry) checkURL(raw string) error {
	switch {
	case raw == "":
		return &webhook.Invalid{Field: "url", Reason: "is required"}
	case len(raw) > webhook.MaxURLLength:
		return &webhook.Invalid{Field: "url", Reason: fmt.Sprintf("must be at most %d bytes", webhook.MaxURLLength)}
	}
	if err := r.CheckURL(raw); err != nil {
		return &webhook.Invalid{Field: "url", Reason: err.Error()}
	}
	return nil
}

// sameOrigin reports whether two URLs lead to the same receiver, as far as the
// URLs tell.
func sameOrigin(a, b string) bool {
	before, errBefore := url.Parse(a)
	after, errAfter := url.Parse(b)
	return errBefore == nil && errAfter == nil && before.Scheme == after.Scheme && strings.EqualFold(before.Host, after.Host)
}
