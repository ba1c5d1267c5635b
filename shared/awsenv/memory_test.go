package awsenv_test

import (
	"math"
	"runtime/debug"
	"testing"

	"webhookrelay/shared/awsenv"
)

func TestSpendMemoryKeepsWithinTheFunctionsMemory(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	for size, want := range map[string]int64{"256": 192 << 20, "": math.MaxInt64, "none": math.MaxInt64} {
		debug.SetMemoryLimit(math.MaxInt64)
		t.Setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", size)
		awsenv.SpendMemory()
		if got := debug.SetMemoryLimit(-1); got != want {
			t.Errorf("with %q the limit is %d, want %d", size, got, want)
		}
	}
	if got := debug.SetGCPercent(100); got != 400 {
		t.Errorf("collects at %d %%, want 400", got)
	}
}
