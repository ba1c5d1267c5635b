package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// quotaPeriod is what a function's share of a processor is reckoned over, as far
// as is known of Lambda: it runs for its share of each period, then waits. In microseconds.
const quotaPeriod = 20_000

// quota is a control group whose processes share so much of a processor.
type quota struct{ dir string }

// newQuota makes one. It needs Linux, and the right to make control groups.
func newQuota(share float64) (*quota, error) {
	run, period := strconv.Itoa(int(share*quotaPeriod)), strconv.Itoa(quotaPeriod)
	// Version 2 has one hierarchy for everything, version 1 one for processors.
	root, values := "/sys/fs/cgroup", map[string]string{"cpu.max": run + " " + period}
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
		root, values = filepath.Join(root, "cpu"), map[string]string{"cpu.cfs_period_us": period, "cpu.cfs_quota_us": run}
	}
	dir, err := os.MkdirTemp(root, "bench-*")
	if err != nil {
		return nil, fmt.Errorf("no control group for a share of a processor: %w", err)
	}
	q := &quota{dir}
	for file, value := range values {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0o600); err != nil {
			return nil, errors.Join(err, q.remove())
		}
	}
	return q, nil
}

// remove takes it away again; its processes must have ended.
func (q *quota) remove() error { return os.Remove(q.dir) }

// command is the binary in the group. A shell enters it first, which adds a
// millisecond or less to the start.
func (q *quota) command(binary string) *exec.Cmd {
	if q == nil {
		return exec.Command(binary)
	}
	return exec.Command("/bin/sh", "-c", `echo $$ >"$0" && exec "$1"`, filepath.Join(q.dir, "cgroup.procs"), binary)
}
