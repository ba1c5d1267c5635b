package sqlite

import "fmt"

// migrations holds the steps from one version of the schema to the next: the
// PRAGMA user_version of a file says how many of them it has seen. A step that
// a release has run is never changed.
var migrations = []string{schema1, schema2, schema3, schema4, schema5, schema6, schema7, schema8, schema9, schema10}

// schema1 makes the tables of events and deliveries. Bodies and attempts come
// last in their rows, so that reading what precedes them leaves their overflow
// pages alone. Tables whose rows may be large keep SQLite's row numbers: new rows
// go to the table's end, and only the small index entry to its place among the
// tenant's.
const schema1 = `
CREATE TABLE tenants (
	id TEXT PRIMARY KEY, name TEXT NOT NULL, created_at INTEGER NOT NULL, config_version INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE endpoints (
	tenant TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL, doc TEXT NOT NULL,
	health_rev INTEGER NOT NULL DEFAULT 0, health TEXT NOT NULL DEFAULT '',
	UNIQUE (tenant, id)
);

CREATE TABLE claims (
	tenant TEXT NOT NULL, key TEXT NOT NULL, ref TEXT NOT NULL, fingerprint TEXT NOT NULL,
	at INTEGER NOT NULL, done INTEGER NOT NULL, expires_at INTEGER NOT NULL,
	PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE INDEX claims_expiry ON claims (expires_at);

CREATE TABLE events (
	tenant TEXT NOT NULL, ref TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
	timestamp INTEGER NOT NULL, targets TEXT NOT NULL, accepted_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL, unsent INTEGER NOT NULL, body BLOB NOT NULL,
	UNIQUE (tenant, ref)
);
CREATE INDEX events_expiry ON events (expires_at);

CREATE TABLE deliveries (
	tenant TEXT NOT NULL, event TEXT NOT NULL, endpoint TEXT NOT NULL,
	event_id TEXT NOT NULL, event_type TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
	attempt_count INTEGER NOT NULL, budget_start INTEGER NOT NULL,
	next_at INTEGER NOT NULL, next_cause TEXT NOT NULL,
	held_until INTEGER NOT NULL, parked_at INTEGER NOT NULL, died_at INTEGER NOT NULL, untold INTEGER NOT NULL,
	updated_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, rev INTEGER NOT NULL, writer TEXT NOT NULL,
	attempts TEXT NOT NULL,
	UNIQUE (tenant, event, endpoint)
);
CREATE INDEX deliveries_expiry ON deliveries (expires_at);
CREATE INDEX deliveries_failed ON deliveries (state, tenant, event, endpoint)
	WHERE state IN ('retrying', 'parked', 'dead', 'cancelled');
CREATE INDEX deliveries_held ON deliveries (held_until) WHERE held_until > 0;

CREATE TABLE messages (
	seq INTEGER PRIMARY KEY, sent_at INTEGER NOT NULL, visible_at INTEGER NOT NULL,
	receives INTEGER NOT NULL, leased INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX messages_visible ON messages (visible_at);
CREATE INDEX messages_leased ON messages (leased) WHERE leased = 1;

CREATE TABLE dead_messages (
	seq INTEGER PRIMARY KEY, body BLOB NOT NULL
);
CREATE TABLE moves (
	id INTEGER PRIMARY KEY CHECK (id = 1), started_at INTEGER NOT NULL, moved INTEGER NOT NULL
);

CREATE TABLE sweep_state (
	id INTEGER PRIMARY KEY CHECK (id = 1), day TEXT NOT NULL, tenants_after TEXT NOT NULL,
	tenant TEXT NOT NULL, after TEXT NOT NULL, done INTEGER NOT NULL
);
`

// schema2 adds API keys, the key that signs portal tokens, and the audit trail.
const schema2 = `
CREATE TABLE keys (
	tenant TEXT NOT NULL, id TEXT NOT NULL, scope TEXT NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL,
	created_at INTEGER NOT NULL, created_by TEXT NOT NULL, expires_at INTEGER NOT NULL,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX keys_expiry ON keys (expires_at) WHERE expires_at > 0;

CREATE TABLE portal_key (
	id INTEGER PRIMARY KEY CHECK (id = 1), public BLOB NOT NULL, sealed BLOB NOT NULL
);

CREATE TABLE audit (
	id TEXT PRIMARY KEY, tenant TEXT NOT NULL, doc TEXT NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX audit_tenant ON audit (tenant, id);
CREATE INDEX audit_expiry ON audit (expires_at);
`

// schema3 adds jobs.
const schema3 = `
CREATE TABLE jobs (
	tenant TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL, running INTEGER NOT NULL,
	doc TEXT NOT NULL, expires_at INTEGER NOT NULL,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX jobs_running ON jobs (running) WHERE running = 1;
CREATE INDEX jobs_expiry ON jobs (expires_at);
`

// schema4 adds a message's lane, which stands for its endpoint (0: not worked
// out), and whether it waits there or in the common lane; and lets an endpoint's
// deliveries be found that are on hold until it is back.
const schema4 = `
ALTER TABLE messages ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN own INTEGER NOT NULL DEFAULT 0;
DROP INDEX messages_visible;
CREATE INDEX messages_visible ON messages (visible_at) WHERE own = 0;
CREATE INDEX messages_own ON messages (lane, visible_at) WHERE own = 1;

CREATE INDEX deliveries_parked ON deliveries (tenant, endpoint, held_until) WHERE state = 'parked';
`

// schema5 adds the labels of events, and the turns of endpoints with a rate limit.
const schema5 = `
ALTER TABLE events ADD COLUMN channels TEXT NOT NULL DEFAULT '';

CREATE TABLE turns (
	tenant TEXT NOT NULL, endpoint TEXT NOT NULL, rate TEXT NOT NULL, next INTEGER NOT NULL, expires_at INTEGER NOT NULL,
	PRIMARY KEY (tenant, endpoint, rate)
) WITHOUT ROWID;
CREATE INDEX turns_expiry ON turns (expires_at);
`

// schema6 adds where an event's producer was in a distributed trace: its
// traceparent, and after a space its tracestate.
const schema6 = `
ALTER TABLE events ADD COLUMN trace TEXT NOT NULL DEFAULT '';
`

// schema7 adds when an event is to be delivered and whether the store carries it
// until then, when it was taken back or emptied, and its tags, which its deliveries have too.
// The default of a time is the zero time's.
const schema7 = `
ALTER TABLE events ADD COLUMN tags TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN deliver_at INTEGER NOT NULL DEFAULT -62135596800000;
ALTER TABLE events ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN cancelled_at INTEGER NOT NULL DEFAULT -62135596800000;
ALTER TABLE events ADD COLUMN expunged_at INTEGER NOT NULL DEFAULT -62135596800000;
CREATE INDEX events_held ON events (deliver_at) WHERE held = 1;

ALTER TABLE deliveries ADD COLUMN tags TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN expunged INTEGER NOT NULL DEFAULT 0;
`

// schema8 adds the catalogue of event types, and which targets' filters failed on an event.
const schema8 = `
CREATE TABLE event_types (
	name TEXT PRIMARY KEY, description TEXT NOT NULL, schema BLOB, example BLOB, deprecated INTEGER NOT NULL,
	created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) WITHOUT ROWID;

ALTER TABLE events ADD COLUMN undecided TEXT NOT NULL DEFAULT '';
`

// schema9 leaves messages that are kept in memory out of the index of those to receive.
const schema9 = `
DROP INDEX messages_visible;
CREATE INDEX messages_visible ON messages (visible_at) WHERE own = 0 AND visible_at > 0;
`

// schema10 adds when dead messages expire, those of before as if they had died now,
// and how many messages a move of them is to move.
const schema10 = `
ALTER TABLE dead_messages ADD COLUMN expires_at INTEGER NOT NULL DEFAULT 0;
UPDATE dead_messages SET expires_at = (unixepoch() + 14 * 86400) * 1000;
CREATE INDEX dead_messages_expiry ON dead_messages (expires_at);

ALTER TABLE moves ADD COLUMN to_move INTEGER NOT NULL DEFAULT 0;
UPDATE moves SET to_move = moved;
`

// migrate brings a file to the schema and refuses a file of another kind.
func migrate(c *conn) error {
	var version, tables int
	if _, err := c.row("PRAGMA user_version", nil, &version); err != nil {
		return err
	}
	if _, err := c.row("SELECT count(*) FROM sqlite_master", nil, &tables); err != nil {
		return err
	}
	switch {
	case version > len(migrations):
		return fmt.Errorf("%w: its schema is %d, this release knows %d", ErrNewer, version, len(migrations))
	case version == 0 && tables != 0:
		return fmt.Errorf("%w: it holds another program's tables", ErrForeign)
	}
	for version < len(migrations) {
		step := migrations[version]
		version++
		if err := c.script(fmt.Sprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT;", step, version)); err != nil {
			return err
		}
	}
	return nil
}
