package dynamo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"webhookrelay/shared/webhook"
)

// A delivery's attempts are one binary attribute: the format's version, then
// per attempt, in this order, its number, time, trigger, reason, status code,
// detail, response and duration. Numbers are varints, times epoch milliseconds,
// durations nanoseconds, text and bytes preceded by their length. A success
// takes some 25 bytes; the same in JSON takes over 100, and a response, which
// need not be text, a third more.
//
// The rows live for weeks, so a changed format gets a new version, and the old
// one stays readable.
const attemptsVersion = 1

// maxAttemptsBytes bounds the attempts of one row: a DynamoDB row holds 400 KB
// at most, and attempts shrink less when deflated than this allows.
const maxAttemptsBytes = 1 << 20

var errAttempts = errors.New("damaged attempts")

func encodeAttempts(attempts []webhook.Attempt) []byte {
	if len(attempts) == 0 {
		return nil
	}
	out := []byte{attemptsVersion}
	for _, a := range attempts {
		out = binary.AppendVarint(out, int64(a.Number))
		out = binary.AppendVarint(out, milliseconds(a.At))
		out = appendBytes(out, a.Trigger)
		out = appendBytes(out, a.Reason)
		out = binary.AppendVarint(out, int64(a.StatusCode))
		out = appendBytes(out, a.Detail)
		out = appendBytes(out, a.Response)
		out = binary.AppendVarint(out, int64(a.Duration))
	}
	return out
}

func decodeAttempts(data []byte) ([]webhook.Attempt, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if data[0] != attemptsVersion {
		return nil, fmt.Errorf("attempts in unknown format %d", data[0])
	}
	r := attemptReader{rest: data[1:]}
	var attempts []webhook.Attempt
	for len(r.rest) > 0 && !r.damaged {
		attempts = append(attempts, webhook.Attempt{
			Number:     int(r.number()),
			At:         fromMilliseconds(r.number()),
			Trigger:    webhook.Trigger(r.bytes()),
			Reason:     webhook.Reason(r.bytes()),
			StatusCode: int(r.number()),
			Detail:     string(r.bytes()),
			Response:   r.bytes(),
			Duration:   time.Duration(r.number()),
		})
	}
	if r.damaged {
		return nil, errAttempts
	}
	return attempts, nil
}

func appendBytes[T ~string | ~[]byte](out []byte, v T) []byte {
	out = binary.AppendUvarint(out, uint64(len(v)))
	return append(out, v...)
}

// noTime stands for the zero time.
const noTime = math.MinInt64

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixMilli()
}

func fromMilliseconds(ms int64) time.Time {
	if ms == noTime {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// attemptReader takes fields off rest. Once damaged, it returns zeros.
type attemptReader struct {
	rest    []byte
	damaged bool
}

func (r *attemptReader) number() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.damaged, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// bytes returns nil for an empty field.
func (r *attemptReader) bytes() []byte {
	length, n := binary.Uvarint(r.rest)
	if n <= 0 || length > uint64(len(r.rest)-n) {
		r.damaged, r.rest = true, nil
		return nil
	}
	v := r.rest[n : n+int(length)]
	r.rest = r.rest[n+int(length):]
	if len(v) == 0 {
		return nil
	}
	return v
}
