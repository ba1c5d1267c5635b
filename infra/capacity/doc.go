// Package capacity says what a rate of events needs of AWS: how much of each
// service, which quota that meets and which setting moves it, and what it costs. Its
// numbers are the requests that infra/cost holds as measured and the quotas that
// AWS documents; nothing of it was seen on AWS.
package capacity
