package measure

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Machine is where a run took place. What a system does not tell is "not available".
type Machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Memory     string `json:"memory"`
	OS         string `json:"os"`
	Go         string `json:"go"`
	Filesystem string `json:"filesystem"`
	// Load is the load average over 1, 5 and 15 minutes before the run.
	Load string `json:"load_before"`
}

// Unknown stands for what a system does not tell.
const Unknown = "not available"

// ThisMachine says where the program runs; work lies on the file system that counts.
func ThisMachine(work string) Machine {
	m := Machine{
		CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Memory: Unknown,
		OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Filesystem: Filesystem(work), Load: Unknown,
	}
	if kb, ok := kilobytes("/proc/meminfo", "MemTotal"); ok {
		m.Memory = fmt.Sprintf("%.1f GiB", kb/(1<<20))
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.OS += ", kernel " + strings.TrimSpace(string(release))
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(load))[:3], " ")
	}
	return m
}

// field returns the value of the first line "name: value" of a file.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return Unknown
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return Unknown
}

func kilobytes(path, name string) (float64, bool) {
	number, _ := strings.CutSuffix(field(path, name), " kB")
	kb, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	return kb, err == nil
}

// Filesystem returns the type of the file system that holds dir.
func Filesystem(dir string) string {
	mounts, err := os.ReadFile("/proc/mounts")
	abs, absErr := filepath.Abs(dir)
	if err != nil || absErr != nil {
		return Unknown
	}
	kind, longest := Unknown, -1
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		point := strings.TrimSuffix(fields[1], "/")
		if (abs == point || strings.HasPrefix(abs, point+"/")) && len(point) >= longest {
			kind, longest = fields[2], len(point)
		}
	}
	return kind
}

// FreeSpace returns how many GiB are free on the file system that holds dir.
func FreeSpace(dir string) (float64, error) {
	out, err := exec.Command("df", "-Pk", dir).Output()
	if err != nil {
		return 0, fmt.Errorf("df -Pk %s: %w", dir, err)
	}
	fields := strings.Fields(string(out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]))
	if len(fields) < 4 {
		return 0, fmt.Errorf("df -Pk %s says %q", dir, out)
	}
	kb, err := strconv.ParseFloat(fields[3], 64)
	return kb / (1 << 20), err
}

// Memory returns VmRSS or VmHWM of a process in MiB.
func Memory(pid int, which string) (float64, bool) {
	kb, ok := kilobytes(fmt.Sprintf("/proc/%d/status", pid), which)
	return kb / 1024, ok
}

// ticksPerSecond is what Linux counts processor time in for /proc on every
// architecture Go runs on.
const ticksPerSecond = 100

// cpuSeconds returns the processor time that a process has used, in user and
// kernel mode, or NaN where the system does not tell.
func cpuSeconds(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return math.NaN()
	}
	// The command's name, in parentheses, may hold spaces; utime and stime are
	// the 12th and 13th fields after it.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return math.NaN()
	}
	user, userErr := strconv.ParseFloat(fields[11], 64)
	system, systemErr := strconv.ParseFloat(fields[12], 64)
	if userErr != nil || systemErr != nil {
		return math.NaN()
	}
	return (user + system) / ticksPerSecond
}

// SettledCPU waits until the process rests and returns its processor time.
func SettledCPU(pid int) float64 {
	last := cpuSeconds(pid)
	for range 20 {
		time.Sleep(100 * time.Millisecond)
		now := cpuSeconds(pid)
		if now-last < 1.0/ticksPerSecond || math.IsNaN(now) {
			return now
		}
		last = now
	}
	return last
}
