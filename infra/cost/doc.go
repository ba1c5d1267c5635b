// Package cost turns what the relay was measured to ask of AWS into dollars: the
// list prices with their dates, the bill of a million events and that of an idle
// month. It measures nothing itself; infra/bench does.
package cost
