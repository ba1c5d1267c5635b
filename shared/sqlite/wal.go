package sqlite

import (
	"os"
	"time"
)

const (
	// checkpointPages is how many pages the write-ahead log takes before they are
	// copied into the file, which syncs both, and the log is begun again. At SQLite's
	// 1,000 that would come several times a second under load.
	checkpointPages = 4000
	// logPage is a page in the log, with the header of its frame
	// (https://sqlite.org/fileformat2.html#the_write_ahead_log).
	logPage = 4096 + 24
	// maxLog is the size from which the log is begun again whoever reads. A log
	// that grew past it is cut back to it when it is begun again, so that its size
	// tells how long it has become since.
	maxLog = 2 * checkpointPages * logPage
	// logEvery is how often the size is looked at.
	logEvery = time.Second
	// logWait is how long the writer waits for reads to end before it begins the log
	// again, as many times over as the log holds maxLog.
	logWait = 100 * time.Millisecond
)

// logSize looks after the size of the write-ahead log.
type logSize struct {
	path   string // of the log; empty: there is none
	looked time.Time
}

// reserveLog lets the write-ahead log have its usual size from the start: to sync
// what overwrites a file's bytes takes half as long as to sync what makes it
// longer. The log ends for SQLite where the frames end that it wrote. On a disk
// without the room the log stays as it is, and grows as it is written.
func reserveLog(path string) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return
	}
	zeros := make([]byte, 1<<20)
	for at := info.Size(); at < checkpointPages*logPage; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros, at); err != nil {
			_ = f.Truncate(info.Size())
			return
		}
	}
}

// boundLog begins a log again that has grown too long. SQLite itself begins it
// again only when a commit finds nobody reading, which may never be. So here the
// writer holds the next writes up until the reads under way have ended; those that
// begin once all is in the file do without the log. If they take too long, it goes
// on, to try again later, and the longer the log is then, the longer it waits.
func (s *Store) boundLog(now time.Time) {
	if s.log.path == "" || now.Sub(s.log.looked).Abs() < logEvery {
		return
	}
	s.log.looked = now
	info, err := os.Stat(s.log.path)
	if err != nil || info.Size() <= maxLog {
		return
	}
	s.writer.raw.SetBusyTimeout(min(busyTimeout, logWait*time.Duration(info.Size()/maxLog)))
	defer s.writer.raw.SetBusyTimeout(busyTimeout)
	// An error leaves the log as it is. What is wrong with the disk, a commit will say.
	_ = s.writer.script("PRAGMA wal_checkpoint(RESTART)")
}
