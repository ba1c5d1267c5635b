package history

import (
	"webhookrelay/shared/webhook"
)

// Record is an event with its body and all its deliveries.
type Record struct {
	Event      webhook.Event
	Deliveries []webhook.Delivery
	// Behind is the position of a list of records that goes on after this one.
	Behind string
}

// MaxRecordBytes is about how much a page of records holds: what it reaches, the
// page ends.
const MaxRecordBytes = 4 << 20

// Size is about how many bytes the record takes: payload and answers.
func (r Record) Size() int {
	size := len(r.Event.Body)
	for _, d := range r.Deliveries {
		size += 256
		for _, a := range d.Attempts {
			size += 128 + len(a.Response)
		}
	}
	return size
}
