package sender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"webhookrelay/shared/safedial"
	"webhookrelay/shared/webhook"
)

// failure says why no answer came. The text leaves out the URL, which may hold
// a receiver's credentials, the address of a refused connection, which may be of
// a private host, and the relay's resolver.
func failure(err error) webhook.Result {
	reason := classify(err)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if refusal, ok := errors.AsType[*safedial.Refusal](err); ok {
		return webhook.Result{Reason: reason, Detail: "the URL cannot be used: " + refusal.Error()}
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return webhook.Result{Reason: reason, Detail: "looking up " + dns.Name + ": " + lookup(dns)}
	}
	return webhook.Result{Reason: reason, Detail: err.Error()}
}

func lookup(err *net.DNSError) string {
	switch {
	case err.IsNotFound:
		return "no such host"
	case err.IsTimeout:
		return "its name servers do not answer"
	}
	return "its name servers failed"
}

// classifyURL tells a URL that leads where the policy does not from one that is
// none.
func classifyURL(err error) webhook.Reason {
	if _, refused := errors.AsType[*safedial.Refusal](err); refused {
		return webhook.ReasonAddressBlocked
	}
	return webhook.ReasonBadURL
}

func classify(err error) webhook.Reason {
	var (
		refusal     *safedial.Refusal
		dns         *net.DNSError
		op          *net.OpError
		invalid     x509.CertificateInvalidError
		hostname    x509.HostnameError
		authority   x509.UnknownAuthorityError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
	)
	switch {
	case errors.As(err, &refusal):
		return webhook.ReasonAddressBlocked
	case errors.As(err, &dns):
		return webhook.ReasonDNS
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		return webhook.ReasonConnectTimeout
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return webhook.ReasonTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return webhook.ReasonConnectRefused
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return webhook.ReasonTLSExpired
	case errors.As(err, &hostname):
		return webhook.ReasonTLSName
	case errors.As(err, &authority):
		return webhook.ReasonTLSChain
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert),
		errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"), // a TLS alert
		errors.Is(err, http.ErrSchemeMismatch):
		return webhook.ReasonTLS
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return webhook.ReasonReset
	}
	return webhook.ReasonConnectFailed
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
