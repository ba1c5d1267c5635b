package sender

// RetryAfter is retryAfter, for the fuzz test.
var RetryAfter = retryAfter

// NewTransport is newTransport, to try what stands without the check of the URL.
var NewTransport = newTransport
