package webhook

import (
	"time"
	"unicode/utf8"
)

// TenantID names the customer whose events and endpoints are kept apart from
// everyone else's. The caller chooses it: 1–64 characters of A–Z a–z 0–9 _ -.
type TenantID string

// Tenant is one customer of the application that sends events.
type Tenant struct {
	ID        TenantID
	Name      string
	CreatedAt time.Time
}

// Limits of caller-chosen text, in bytes.
const (
	MaxIDLength          = 64
	MaxNameLength        = 256
	MaxDescriptionLength = 1024
	MaxURLLength         = 2048
)

// CheckID returns an *Invalid for field unless id is 1–64 characters of
// A–Z a–z 0–9 _ -. Dots are refused because the signed content of a webhook
// joins its id and timestamp with dots (Standard Webhooks 1.0.0).
func CheckID(field, id string) error {
	if id == "" || len(id) > MaxIDLength {
		return invalid(field, "must be 1 to %d characters of A-Z a-z 0-9 _ -", MaxIDLength)
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return invalid(field, "must be 1 to %d characters of A-Z a-z 0-9 _ -", MaxIDLength)
		}
	}
	return nil
}

// CheckText returns an *Invalid for field when text is longer than limit bytes
// holds control characters
// or is not UTF-8.
func CheckText(field, text string, limit int) error {
	if len(text) > limit {
		return invalid(field, "must be at most %d bytes", limit)
	}
	if !utf8.ValidString(text) {
		return invalid(field, "must be valid UTF-8")
	}
	for _, r := range text {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return invalid(field, "must not hold control characters")
		}
	}
	return nil
}
