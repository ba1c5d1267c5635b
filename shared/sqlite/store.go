// Package sqlite is the relay's embedded engine, for a laptop or one small
// machine: a store and a queue in one SQLite file, driven by pure Go.
//
// One process owns a file. Writes are durable when they return: they run in
// groups, one transaction and one sync to disk for all that wait (see write).
// Reads see every finished write.
//
// Times are kept to the millisecond, in UTC. Lists of events leave Event.Body
// nil, so that a page costs little whatever the events hold.
package sqlite

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	engine "zombiezen.com/go/sqlite"

	"webhookrelay/shared/audit"
	"webhookrelay/shared/auth"
	"webhookrelay/shared/dispatch"
	"webhookrelay/shared/history"
	"webhookrelay/shared/id"
	"webhookrelay/shared/ingest"
	"webhookrelay/shared/keyring"
	"webhookrelay/shared/registry"
)

var (
	_ ingest.Store    = (*Store)(nil)
	_ ingest.Handover = (*Store)(nil)
	_ dispatch.Store  = (*Store)(nil)
	_ registry.Store  = (*Store)(nil)
	_ history.Store   = (*Store)(nil)
	_ auth.Store      = (*Store)(nil)
	_ keyring.Store   = (*Store)(nil)
	_ audit.Store     = (*Store)(nil)
)

// Memory is the Config.Path of a store that ends with its process.
const Memory = ":memory:"

// Defaults of Config.
const (
	DefaultVisibility = 360 * time.Second
	// DefaultMaxReceives leaves room for the longest retry schedule.
	DefaultMaxReceives = 50
	// DefaultPlaces lets one endpoint alone have 320 messages in work.
	DefaultPlaces = 640
)

// Errors of Open and of a closed store.
var (
	// ErrInUse: another process, or another Store of this one, has the file open.
	ErrInUse = errors.New("file is in use by another relay")
	// ErrNewer: a later release wrote the file, in a form this one cannot read.
	ErrNewer = errors.New("file was written by a newer release of the relay")
	// ErrForeign: the file is not a database, is damaged, or belongs to another program.
	ErrForeign = errors.New("file is damaged or not the relay's")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
)

// Config says where a Store lies and how its queue behaves.
type Config struct {
	// Path is the file, made when absent (its directory must exist; the file's
	// mode is 0600, for it holds secrets), or Memory. SQLite's -wal and -shm
	// files lie beside it, and an empty .lock file that may stay.
	Path string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Visibility is how long a received message stays hidden; 0 means DefaultVisibility.
	Visibility time.Duration
	// MaxReceives is how often a message is received before it goes to the
	// dead-letter queue; 0 means DefaultMaxReceives.
	MaxReceives int
	// Places is how many messages may be in work, received and not yet deleted,
	// hidden or settled; 0 means DefaultPlaces. One endpoint alone gets half, and
	// twice as many are in work when many endpoints hang.
	Places int
}

// readers bounds concurrent reads. Each costs a connection with its own page cache.
const readers = 4

// Store keeps tenants, endpoints, events, deliveries, claims, API keys and the
// audit trail. Safe for concurrent use.
type Store struct {
	now         func() time.Time
	visibility  time.Duration
	maxReceives int
	ids         *id.Source
	opened      int64 // in ms

	conns   []*conn // all of them
	writer  *conn
	readers chan *conn // those that are free
	// gate keeps readers and the writer apart in a store without a file, which
	// has no write-ahead log to do so; nil otherwise.
	gate *sync.RWMutex

	log      logSize // the writer's
	writes   chan *write
	closing  chan struct{}
	stopped  chan struct{}
	shutdown func() error

	nextMessage atomic.Int64
	lanes       *lanes
	fresh       *fresh
	due         due
	known       known
	recent      recent
	back        back
	unreleased  sync.Map // of claimKey to time.Time: claims whose holder failed to let go, and when they expire
	bell        bell
	moving      atomic.Bool // a move of the dead-letter queue is under way
}

// Open opens or creates the store at cfg.Path. It returns ErrInUse, ErrNewer
// or ErrForeign, wrapped, for a file it must leave alone.
func Open(cfg Config) (*Store, error) {
	s, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", cfg.Path, err)
	}
	return s, nil
}

func open(cfg Config) (_ *Store, err error) {
	if cfg.Places == 0 {
		cfg.Places = DefaultPlaces
	}
	s := &Store{
		now: cfg.Now, visibility: cfg.Visibility, maxReceives: cfg.MaxReceives,
		ids: id.NewSource(), lanes: newLanes(cfg.Places), fresh: newFresh(),
		readers: make(chan *conn, readers),
		writes:  make(chan *write, maxGroup),
		closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.opened = millis(s.now())
	if s.visibility == 0 {
		s.visibility = DefaultVisibility
	}
	if s.maxReceives == 0 {
		s.maxReceives = DefaultMaxReceives
	}
	s.shutdown = sync.OnceValue(s.close)
	defer func() {
		if err != nil {
			_ = s.closeFile()
		}
	}()
	name, err := s.claimFile(cfg.Path)
	if err != nil {
		return nil, err
	}
	if s.writer, err = s.connect(name, pragmas...); err != nil {
		return nil, explain(err)
	}
	if err := migrate(s.writer); err != nil {
		return nil, explain(err)
	}
	if cfg.Path != Memory {
		s.log.path = cfg.Path + "-wal"
		reserveLog(s.log.path)
	}
	if err := s.numberMessages(); err != nil {
		return nil, explain(err)
	}
	if err := s.releaseMessages(); err != nil {
		return nil, explain(err)
	}
	if err := s.readQueue(); err != nil {
		return nil, explain(err)
	}
	for range readers {
		c, err := s.connect(name, pragmas...)
		if err != nil {
			return nil, explain(err)
		}
		s.readers <- c
	}
	go s.writeLoop()
	return s, nil
}

// pragmas apply to every connection.
var pragmas = []string{
	"journal_mode = WAL", "synchronous = FULL", "foreign_keys = OFF",
	fmt.Sprintf("wal_autocheckpoint = %d", checkpointPages), fmt.Sprintf("journal_size_limit = %d", maxLog), "cache_size = -8000",
}

// busyTimeout is how long a statement waits for another connection's lock.
const busyTimeout = 5 * time.Second

var memories atomic.Int64

// claimFile makes this Store the only user of the file and returns its data
// source name.
func (s *Store) claimFile(path string) (string, error) {
	if path == "" {
		return "", errors.New("no path given")
	}
	if path == Memory {
		s.gate = new(sync.RWMutex)
		return fmt.Sprintf("file:/relay-%d?vfs=memdb", memories.Add(1)), nil
	}
	// SQLite's C builds for Linux commit with fdatasync; this one must be told.
	// Where there is no fdatasync, nothing is lost by going on with fsync.
	_, _ = sqlite.Fdatasync(true)

	// SQLite gives its side files the mode of this one.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	// The lock is an exclusive transaction, never ended, on an empty database
	// beside the file: it works wherever SQLite does, and a killed process frees it.
	lock, err := s.connect(fileURL(path+".lock"), "journal_mode = MEMORY", "busy_timeout = 0")
	if err == nil {
		err = lock.script("BEGIN EXCLUSIVE")
	}
	return fileURL(path), explain(err)
}

func fileURL(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/dir becomes file:/C:/dir
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: path}
	return u.String()
}

// explain puts the sentinel for an engine error's code in front of it.
func explain(err error) error {
	switch engine.ErrCode(err).ToPrimary() {
	case engine.ResultBusy, engine.ResultLocked:
		return fmt.Errorf("%w: %w", ErrInUse, err)
	case engine.ResultNotADB, engine.ResultCorrupt:
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	return err
}

// Close runs the writes that wait, then gives the file back. Later calls of
// any method return ErrClosed.
func (s *Store) Close() error { return s.shutdown() }

func (s *Store) close() error {
	close(s.closing)
	<-s.stopped
	for range readers { // reads under way end first
		<-s.readers
	}
	s.known.forget()
	s.recent.clear()
	return errors.Join(s.settleFresh(), s.closeFile())
}

func (s *Store) closeFile() error {
	var errs []error
	for _, c := range slices.Backward(s.conns) { // the lock, which was first, at last
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}
