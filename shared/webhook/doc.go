// Package webhook holds the relay's vocabulary: tenants, events, endpoints,
// deliveries and attempts, what makes each of them valid, and which states a
// delivery may pass through. It imports the standard library only, so every
// other package may use it.
package webhook
