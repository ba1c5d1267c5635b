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
// a receiver's credentials.
func failure(err error) webhook.Result {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return webhook.Result{Reason: classify(err), Detail: err.Error()}
}

func classify(err error) webhook.Reason {
	var (
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
	case errors.Is(err, safedial.ErrBlocked):
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
