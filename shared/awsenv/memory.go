package awsenv

import (
	"os"
	"runtime/debug"
	"strconv"
)

// gcPercent lets the heap grow to five times what lives on it before it is
// collected. An invocation leaves little behind, so a function's heap is a few MiB,
// and with Go's default of 100 a quarter of its processor time went to collecting it.
const gcPercent = 400

// SpendMemory lets the garbage collector take memory in place of time, up to three
// quarters of what AWS_LAMBDA_FUNCTION_MEMORY_SIZE says the function has, in MB; the
// rest is for the program itself. Without that variable nothing changes.
func SpendMemory() {
	size, err := strconv.ParseInt(os.Getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), 10, 64)
	if err != nil || size <= 0 {
		return
	}
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(size << 20 / 4 * 3)
}
