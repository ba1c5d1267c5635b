package sqlite

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	engine "zombiezen.com/go/sqlite"
)

// conn is one connection, used by one goroutine at a time, with its prepared
// statements. A statement runs to its end whatever becomes of a context: each is
// short.
type conn struct {
	raw   *engine.Conn
	stmts map[string]*statement
	// A statement may have changed what known, and what recent keeps.
	changesKnown, changesRecent bool
	// committed is called when what was written is on disk; see onCommit.
	committed []func()
}

// statement is one that was prepared.
type statement struct {
	*engine.Stmt
	changesKnown, changesRecent bool
}

// onCommit has the writer call f once the change under way is on disk, before its
// caller hears of it.
func (c *conn) onCommit(f func()) { c.committed = append(c.committed, f) }

func (s *Store) connect(name string, pragmas ...string) (*conn, error) {
	raw, err := engine.OpenConn(name, engine.OpenReadWrite, engine.OpenCreate, engine.OpenURI)
	if err != nil {
		return nil, err
	}
	c := &conn{raw: raw, stmts: make(map[string]*statement)}
	s.conns = append(s.conns, c)
	raw.SetBusyTimeout(busyTimeout)
	for _, pragma := range pragmas {
		if err := c.script("PRAGMA " + pragma); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *conn) close() error {
	return c.raw.Close() // finalizes the statements
}

// script runs statements that return nothing, and may be several.
func (c *conn) script(text string) error {
	for text = strings.TrimSpace(text); text != ""; {
		stmt, left, err := c.raw.PrepareTransient(text)
		if err != nil {
			return err
		}
		for more := true; more && err == nil; {
			more, err = stmt.Step()
		}
		if final := stmt.Finalize(); err == nil {
			err = final
		}
		if err != nil {
			return err
		}
		text = strings.TrimSpace(text[len(text)-left:])
	}
	return nil
}

// bound returns the statement with its parameters set, in their order, ready to
// be stepped through.
func (c *conn) bound(query string, args []any) (*statement, error) {
	stmt, ok := c.stmts[query]
	if !ok {
		prepared, err := c.raw.Prepare(query)
		if err != nil {
			return nil, err
		}
		stmt = &statement{prepared, changesKnown(query), changesRecent(query)}
		c.stmts[query] = stmt
	}
	if want := stmt.BindParamCount(); len(args) != want {
		return nil, fmt.Errorf("%d parameters for a statement with %d: %s", len(args), want, query)
	}
	for i, arg := range args {
		switch value := arg.(type) {
		case string:
			stmt.BindText(i+1, value)
		case []byte:
			if value == nil {
				stmt.BindNull(i + 1)
			} else {
				stmt.BindBytes(i+1, value)
			}
		case int64:
			stmt.BindInt64(i+1, value)
		case int:
			stmt.BindInt64(i+1, int64(value))
		case bool:
			stmt.BindBool(i+1, value)
		default:
			return nil, fmt.Errorf("parameter %d is a %T: %s", i+1, arg, query)
		}
	}
	return stmt, nil
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(query string, args ...any) (int64, error) {
	stmt, err := c.bound(query, args)
	if err != nil {
		return 0, err
	}
	c.changesKnown, c.changesRecent = c.changesKnown || stmt.changesKnown, c.changesRecent || stmt.changesRecent
	if _, err := stmt.Step(); err != nil {
		return 0, err
	}
	changed := int64(c.raw.Changes())
	return changed, stmt.Reset()
}

// row reads at most one row into dest and reports whether there was one.
func (c *conn) row(query string, args []any, dest ...any) (found bool, err error) {
	err = c.each(query, args, func(row scanner) (bool, error) {
		found = true
		return false, row.Scan(dest...)
	})
	return found && err == nil, err
}

// each calls visit for every row until it returns false or an error.
func (c *conn) each(query string, args []any, visit func(scanner) (bool, error)) (err error) {
	stmt, err := c.bound(query, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stmt.Reset()) }()
	for {
		if found, err := stmt.Step(); err != nil || !found {
			return err
		}
		if more, err := visit(row{stmt.Stmt}); err != nil || !more {
			return err
		}
	}
}

// scanner is a row to read from.
type scanner interface{ Scan(dest ...any) error }

// row is the row that a statement stands at.
type row struct{ stmt *engine.Stmt }

// Scan reads the row's columns, in order, into what dest points at: strings,
// numbers, booleans and bytes, and types made of them.
func (r row) Scan(dest ...any) error {
	for i, to := range dest {
		switch to := to.(type) {
		case *string:
			*to = r.stmt.ColumnText(i)
		case *int64:
			*to = r.stmt.ColumnInt64(i)
		case *int:
			*to = r.stmt.ColumnInt(i)
		case *bool:
			*to = r.stmt.ColumnBool(i)
		case *[]byte:
			if *to = nil; r.stmt.ColumnType(i) != engine.TypeNull {
				*to = make([]byte, r.stmt.ColumnLen(i))
				r.stmt.ColumnBytes(i, *to)
			}
		default:
			value := reflect.ValueOf(to).Elem()
			switch value.Kind() {
			case reflect.String:
				value.SetString(r.stmt.ColumnText(i))
			case reflect.Int64:
				value.SetInt(r.stmt.ColumnInt64(i))
			default:
				return fmt.Errorf("column %d into a %T", i+1, to)
			}
		}
	}
	return nil
}

// usable returns ctx's error, or ErrClosed, for what needs no connection.
func (s *Store) usable(ctx context.Context) error {
	select {
	case <-s.closing:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

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
