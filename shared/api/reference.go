package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"sync"
)

//go:generate go run ../../infra/reference -from openapi.yaml -to reference.html

// reference is OpenAPI as a page for people.
//
//go:embed reference.html
var reference []byte

// referencePolicy allows the page its own style, by its digest, and nothing else.
var referencePolicy = sync.OnceValue(func() string {
	_, style, _ := bytes.Cut(reference, []byte("<style>"))
	style, _, _ = bytes.Cut(style, []byte("</style>"))
	digest := sha256.Sum256(style)
	return "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(digest[:]) + "'"
})

func (m Manage) reference(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", referencePolicy())
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(reference)
	return nil
}
