// Package simulate proves the relay's promise on models. The real use cases run
// over a store, a queue, Lambda's polling and receivers that are a few hundred
// lines each, keep what their interfaces promise and nothing more, and fail in
// every way the real ones can. A checker of its own then accounts for every
// event that was answered 202.
//
// A run is one thread of control. Each call of a use case is a process; it runs
// until it asks something of a model, and then waits until the world says so.
// Time is virtual: it stands while a process runs and jumps to the next event.
// All choices come from one seed, so a run can be repeated exactly.
//
// The dispatcher starts a goroutine per message, the sweeper one per row. Where
// the world is told how to wait until all of them stand still and how to let
// their timers run (Config.Settled and Pass; a test has testing/synctest for
// both), it hands over batches and orders what the goroutines ask by delivery;
// elsewhere it hands over one message, and one row, at a time.
//
// Outage is another use of the same models: very many events, and nothing that
// fails but one endpoint.
package simulate
