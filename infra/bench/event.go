package main

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
	tenantID  = "bench"
	eventType = "order.placed"
	// dataBytes is the size of every event's data.
	dataBytes = 1 << 10
)

// eventData returns an order of exactly dataBytes. Its values are random, from
// the seed n: what repeats compresses, and would be billed as less than it is.
func eventData(n int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"order_id":"ord_%016x","customer_id":"cus_%016x","currency":"EUR","items":[`, random.Uint64(), random.Uint64())
	for i := 0; b.Len() < dataBytes-160; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"sku":"%08X","quantity":%d,"unit_price":"%d.%02d"}`, random.Uint32(), 1+random.IntN(9), random.IntN(500), random.IntN(100))
	}
	b.WriteString(`],"note":"`)
	fill := make([]byte, (dataBytes-b.Len()-len(`"}`))/2)
	for i := range fill {
		fill[i] = byte(random.Uint32())
	}
	b.WriteString(hex.EncodeToString(fill))
	b.WriteString(`"}`)
	if b.Len() < dataBytes {
		b.WriteByte(' ')
	}
	return b.Bytes()
}

// eventRequest is what is posted to accept event n.
func eventRequest(n int) []byte {
	return fmt.Appendf(nil, `{"type":%q,"data":%s}`, eventType, eventData(n))
}

// randomRequest is eventRequest with data that hardly compresses: a string of
// random base64, the densest that JSON commonly holds.
func randomRequest(n int) []byte {
	random := rand.New(rand.NewPCG(2, uint64(n)))
	raw := make([]byte, dataBytes*3/4)
	for i := range raw {
		raw[i] = byte(random.Uint32())
	}
	text := base64.StdEncoding.EncodeToString(raw)
	return fmt.Appendf(nil, `{"type":%q,"data":%q}`, eventType, text[:dataBytes-len(`""`)])
}

// deflatedBody returns how many bytes deflate leaves of an event's body.
func deflatedBody() int {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.DefaultCompression) // fails on an unknown level only
	_, _ = w.Write(ingest.Body(eventType, time.Now(), eventData(0)))
	_ = w.Close() // a buffer takes all
	return b.Len()
}
