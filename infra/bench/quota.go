package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// quotaPeriod is Lambda's as far as is known: of each 20 ms a function runs for
// its share, then waits. In microseconds.
const quotaPeriod = 20_000

// quota is a control group whose processes share so much of a processor.
type quota struct{ dir string }

// newQuota makes one. It needs Linux, and the right to make control groups.
func newQuota(share float64) (*quota, error) {
	run := strconv.Itoa(int(share * quotaPeriod))
	period := strconv.Itoa(quotaPeriod)
	name := fmt.Sprintf("bench-%d-%s", os.Getpid(), run)
	// Version 1 has a hierarchy for processors alone, version 2 one for all.
	if dir := filepath.Join("/sys/fs/cgroup/cpu", name); os.Mkdir(dir, 0o755) == nil {
		q := &quota{dir}
		return q, q.set(map[string]string{"cpu.cfs_period_us": period, "cpu.cfs_quota_us": run})
	}
	q := &quota{filepath.Join("/sys/fs/cgroup", name)}
	if err := os.Mkdir(q.dir, 0o755); err != nil {
		return nil, fmt.Errorf("no control group for a share of a processor: %w", err)
	}
	return q, q.set(map[string]string{"cpu.max": run + " " + period})
}

func (q *quota) set(values map[string]string) error {
	for file, value := range values {
		if err := os.WriteFile(filepath.Join(q.dir, file), []byte(value), 0o600); err != nil {
			return errors.Join(err, q.remove())
		}
	}
	return nil
}

// remove takes it away again; its processes must have ended.
func (q *quota) remove() error { return os.Remove(q.dir) }

// command is the binary in the group. A shell enters it first, which is in the
// start's time, with a millisecond or less.
func (q *quota) command(binary string) *exec.Cmd {
	if q == nil {
		return exec.Command(binary)
	}
	return exec.Command("/bin/sh", "-c", `echo $$ >"$0" && exec "$1"`, filepath.Join(q.dir, "cgroup.procs"), binary)
}
