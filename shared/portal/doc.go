// Package portal is what people see of the relay in a browser: receivers manage
// their endpoints and see what became of their deliveries, operators look after
// all tenants.
//
// It has no way of its own to anything. Each page calls the relay's HTTP API
// within the process, as the caller that the session stands for: scopes, tenancy,
// limits, checks and the audit trail are those of the API.
//
// Pages are made on the server and work without JavaScript. With it, htmx renews
// parts of them, and assets/portal.js does the rest.
package portal
