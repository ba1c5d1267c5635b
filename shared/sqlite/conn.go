package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// conn is one connection, used by one goroutine at a time, with its prepared
// statements. Statements run without a context: each is short, and the driver
// would start a goroutine per statement to watch one.
type conn struct {
	raw   *sql.Conn
	stmts map[string]*sql.Stmt
}

func (s *Store) connect() (*conn, error) {
	raw, err := s.db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	c := &conn{raw: raw, stmts: make(map[string]*sql.Stmt)}
	s.conns = append(s.conns, c)
	return c, nil
}

func (c *conn) close() {
	for _, stmt := range c.stmts {
		_ = stmt.Close()
	}
	_ = c.raw.Close()
}

func (c *conn) script(text string) error {
	_, err := c.raw.ExecContext(context.Background(), text)
	return err
}

func (c *conn) stmt(query string) (*sql.Stmt, error) {
	if stmt, ok := c.stmts[query]; ok {
		return stmt, nil
	}
	stmt, err := c.raw.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = stmt
	return stmt, nil
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(query string, args ...any) (int64, error) {
	stmt, err := c.stmt(query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.Exec(args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row reads at most one row into dest and reports whether there was one.
func (c *conn) row(query string, args []any, dest ...any) (bool, error) {
	stmt, err := c.stmt(query)
	if err != nil {
		return false, err
	}
	err = stmt.QueryRow(args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// each calls visit for every row until it returns false or an error.
func (c *conn) each(query string, args []any, visit func(scanner) (bool, error)) error {
	stmt, err := c.stmt(query)
	if err != nil {
		return err
	}
	rows, err := stmt.Query(args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if more, err := visit(rows); err != nil || !more {
			return err
		}
	}
	return rows.Err()
}

// scanner is a row to read from.
type scanner interface{ Scan(dest ...any) error }

// read runs f on a free reader, in one snapshot that holds every write
// finished before the call. It returns ctx's error if ctx ends first; f itself
// is not interrupted, so it must do bounded work.
func (s *Store) read(ctx context.Context, f func(*conn) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *conn
	select {
	case c = <-s.readers:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return ErrClosed
	}
	defer func() { s.readers <- c }()
	select {
	case <-s.closing:
		return ErrClosed
	default:
	}
	if s.gate != nil {
		s.gate.RLock()
		defer s.gate.RUnlock()
	}
	return f(c)
}

// snapshot is read for an f of several statements.
func (s *Store) snapshot(ctx context.Context, f func(*conn) error) error {
	return s.read(ctx, func(c *conn) error {
		if _, err := c.exec("BEGIN"); err != nil {
			return err
		}
		err := f(c)
		// Nothing was written: this only ends the snapshot.
		if _, end := c.exec("COMMIT"); err == nil {
			err = end
		}
		return err
	})
}

func millis(t time.Time) int64 { return t.UnixMilli() }

// instant undoes millis; the zero time survives the way there and back.
func instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
