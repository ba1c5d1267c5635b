package measure

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"

	"webhookrelay/shared/ingest"
)

const (
	// EventType is that of every event.
	EventType = "order.placed"
	// DataBytes is the size of every event's data.
	DataBytes = 1 << 10
)

// EventData returns an order of exactly DataBytes. Its values are random, from
// the seed n: what repeats compresses, and would be billed as less than it is.
func EventData(n int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"order_id":"ord_%016x","customer_id":"cus_%016x","currency":"EUR","items":[`, random.Uint64(), random.Uint64())
	for i := 0; b.Len() < DataBytes-160; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"sku":"%08X","quantity":%d,"unit_price":"%d.%02d"}`, random.Uint32(), 1+random.IntN(9), random.IntN(500), random.IntN(100))
	}
	b.WriteString(`],"note":"`)
	fill := make([]byte, (DataBytes-b.Len()-len(`"}`))/2)
	for i := range fill {
		fill[i] = byte(random.Uint32())
	}
	b.WriteString(hex.EncodeToString(fill))
	b.WriteString(`"}`)
	if b.Len() < DataBytes {
		b.WriteByte(' ')
	}
	return b.Bytes()
}

// EventRequest is what is posted to accept event n.
func EventRequest(n int) []byte {
	return fmt.Appendf(nil, `{"type":%q,"data":%s}`, EventType, EventData(n))
}

// RandomRequest is EventRequest with data that hardly compresses: a string of
// random base64, the densest that JSON commonly holds.
func RandomRequest(n int) []byte {
	random := rand.New(rand.NewPCG(2, uint64(n)))
	raw := make([]byte, DataBytes*3/4)
	for i := range raw {
		raw[i] = byte(random.Uint32())
	}
	text := base64.StdEncoding.EncodeToString(raw)
	return fmt.Appendf(nil, `{"type":%q,"data":%q}`, EventType, text[:DataBytes-len(`""`)])
}

// DeflatedBody returns how many bytes deflate leaves of an event's body.
func DeflatedBody() int {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.DefaultCompression) // fails on an unknown level only
	_, _ = w.Write(ingest.Body(EventType, time.Now(), EventData(0)))
	_ = w.Close() // a buffer takes all
	return b.Len()
}
