// Package paging holds, as tests, that every list stays usable at the sizes the relay
// is meant for: each page does bounded work, and pages together hold each item once.
//
// `go test ./infra/paging` does so with a few thousand events, on SQLite and, where
// RELAY_TEST_AWS_ENDPOINT names it, DynamoDB Local. `make paging` fills the sizes in
// full, stores what a page costs in results, and writes the table into finding.md.
package paging
