package sender

// RetryAfter is retryAfter, for the fuzz test.
var RetryAfter = retryAfter
