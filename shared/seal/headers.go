package seal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"webhookrelay/shared/webhook"
)

// sealedHeader is a header as it lies inside a sealed value.
type sealedHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SealHeaders seals the headers of an endpoint, all together: they are given and
// sent together, and so cost one data key. None need none.
func (s *Sealer) SealHeaders(ctx context.Context, tenant webhook.TenantID, endpoint webhook.EndpointID, headers []webhook.Header) (webhook.SealedHeaders, error) {
	var result webhook.SealedHeaders
	if len(headers) == 0 {
		return result, nil
	}
	list := make([]sealedHeader, len(headers))
	for i, h := range headers {
		list[i] = sealedHeader{h.Name, string(h.Value)}
		result.Names = append(result.Names, h.Name)
	}
	slices.Sort(result.Names)
	text, err := json.Marshal(list)
	if err != nil {
		return webhook.SealedHeaders{}, err
	}
	result.Sealed, err = s.Seal(ctx, Place{tenant, endpoint, Sending}, text)
	return result, err
}

// Headers opens the headers to send to e.
func (s *Sealer) Headers(ctx context.Context, e webhook.Endpoint) ([]webhook.Header, error) {
	if len(e.Headers.Sealed) == 0 {
		return nil, nil
	}
	text, err := s.Open(ctx, Place{e.Tenant, e.ID, Sending}, e.Headers.Sealed)
	if err != nil {
		return nil, fmt.Errorf("open the headers of endpoint %s: %w", e.ID, err)
	}
	var list []sealedHeader
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("open the headers of endpoint %s: %w", e.ID, ErrBroken)
	}
	headers := make([]webhook.Header, len(list))
	for i, h := range list {
		headers[i] = webhook.Header{Name: h.Name, Value: webhook.HeaderValue(h.Value)}
	}
	return headers, nil
}
