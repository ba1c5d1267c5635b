package main

import "webhookrelay/shared/webhook"

// advice says what a receiver does about the reason of a failed attempt.
var advice = map[webhook.Reason]string{
	webhook.ReasonHTTP404:        "the path is gone; correct the endpoint's URL",
	webhook.ReasonHTTP410:        "the endpoint said that it is gone and was disabled; enable it to go on",
	webhook.ReasonHTTP429:        "the endpoint is sent more than it takes; let it take more, or answer Retry-After",
	webhook.ReasonHTTP4xx:        "the endpoint refused it; read its answer. With 401 or 403, does a firewall or login sit in front?",
	webhook.ReasonHTTP5xx:        "the receiver broke; look into its log at that time for the event's id",
	webhook.ReasonHTTPOther:      "answer 200 to 299 to say that it arrived",
	webhook.ReasonRedirect:       "redirects are not followed; make the place that it leads to the endpoint's URL",
	webhook.ReasonTimeout:        "answer 2xx first, and work later",
	webhook.ReasonDNS:            "the name does not resolve; check its spelling and its DNS",
	webhook.ReasonConnectRefused: "nothing listens there; is the receiver running, on that port?",
	webhook.ReasonConnectTimeout: "no connection came about; does a firewall keep the relay out?",
	webhook.ReasonConnectFailed:  "no connection came about; is the receiver reachable from outside?",
	webhook.ReasonReset:          "the connection broke in the middle; look into the receiver's or its proxy's log",
	webhook.ReasonTLSExpired:     "renew the receiver's certificate, or correct its clock",
	webhook.ReasonTLSName:        "the certificate is for another name; use that name, or a certificate for this one",
	webhook.ReasonTLSChain:       "the certificate's chain does not lead to a known root; send the intermediate certificates too",
	webhook.ReasonTLS:            "TLS failed; the receiver must speak TLS 1.2 or later",
	webhook.ReasonAddressBlocked: "the name leads to an address that is not public; use a public one, or ask the operator to allow it",
	webhook.ReasonFilterFailed:   "correct the endpoint's filter (relay endpoints test-filter tries one); it is asked again before each attempt",
	webhook.ReasonBadURL:         "correct the endpoint's URL",
	webhook.ReasonBadSecret:      "the secret cannot be used; rotate it: relay endpoints rotate --overlap 0s",
}

func whatToDo(reason string) string { return advice[webhook.Reason(reason)] }
