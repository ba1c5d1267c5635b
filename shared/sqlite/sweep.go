package sqlite

import (
	"context"
	"fmt"
	"time"
)

// sweepChunk is how many rows one write of Sweep deletes, few enough that
// other writes hardly wait for it.
const sweepChunk = 100

// sweepQueries delete at most ?2 rows that had expired at ?1.
var sweepQueries = []string{
	`DELETE FROM events WHERE rowid IN (SELECT rowid FROM events WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
	`DELETE FROM deliveries WHERE rowid IN (SELECT rowid FROM deliveries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
	`DELETE FROM claims WHERE (tenant, key) IN (SELECT tenant, key FROM claims WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
	`DELETE FROM turns WHERE (tenant, endpoint, rate) IN (SELECT tenant, endpoint, rate FROM turns WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
	`DELETE FROM keys WHERE (tenant, id) IN (SELECT tenant, id FROM keys WHERE expires_at > 0 AND expires_at <= ? ORDER BY expires_at LIMIT ?)`,
	`DELETE FROM jobs WHERE (tenant, id) IN (SELECT tenant, id FROM jobs WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
	`DELETE FROM dead_messages WHERE seq IN (SELECT seq FROM dead_messages WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
	`DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
}

// Sweep deletes at most limit expired rows, in several short writes, and
// returns how many it deleted: fewer than limit means that none are left. After
// each write it rests for as long as that took, so that others have half of the
// writer at least. The file keeps its size; new rows reuse the space.
func (s *Store) Sweep(ctx context.Context, limit int) (deleted int, err error) {
	now := millis(s.now())
	for _, query := range sweepQueries {
		for deleted < limit {
			chunk := min(sweepChunk, limit-deleted)
			var gone int64
			began := time.Now()
			err := s.write(ctx, func(c *conn) (err error) {
				gone, err = c.exec(query, now, chunk)
				return err
			})
			if err != nil {
				return deleted, fmt.Errorf("sweep: %w", err)
			}
			deleted += int(gone)
			if int(gone) < chunk {
				break
			}
			giveWay(ctx, began)
		}
	}
	return deleted, nil
}

// giveWay waits for as long as what began then has taken, or until ctx ends.
func giveWay(ctx context.Context, began time.Time) {
	select {
	case <-time.After(time.Since(began)):
	case <-ctx.Done(): // the next write says so
	}
}
