package sqlite

import "os"

const (
	// checkpointPages is how many pages the write-ahead log takes before they are
	// copied into the file, which syncs both, and the log is begun again. At SQLite's
	// 1,000 that would come several times a second under load.
	checkpointPages = 4000
	// logPage is a page in the log, with the header of its frame
	// (https://sqlite.org/fileformat2.html#the_write_ahead_log).
	logPage = 4096 + 24
)

// reserveLog lets the write-ahead log have its usual size from the start: to sync
// what overwrites a file's bytes takes half as long as to sync what makes it
// longer. The log ends for SQLite where the frames end that it wrote. On a disk
// without the room the log stays as it is, and grows as it is written.
func reserveLog(path string) {
	f, err := os.OpenFile(path+"-wal", os.O_WRONLY, 0)
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
