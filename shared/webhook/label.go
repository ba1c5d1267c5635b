package webhook

import "slices"

// Channel is a label on events by which endpoints may select them, such as a
// project or a customer of the tenant. It has the form of an id.
type Channel string

// OnOneOf reports whether one of an event's labels is among those asked for, which
// it is when none is.
func OnOneOf(asked, labels []Channel) bool {
	return len(asked) == 0 || slices.ContainsFunc(labels, func(c Channel) bool { return slices.Contains(asked, c) })
}

// Tag is a label on an endpoint or an event. It has the form of an id.
type Tag string

// Limits on labels.
const (
	MaxEventChannels    = 5
	MaxEventTags        = 10
	MaxEndpointChannels = 20
	MaxTags             = 20
	MaxMetadata         = 20
	// MaxMetadataValue and MaxMetadataBytes are in bytes; the latter bounds all
	// names and values together, for they are read along with every delivery.
	MaxMetadataValue = 256
	MaxMetadataBytes = 2 << 10
)

// CheckLabels returns an *Invalid for field unless there are at most limit labels,
// each of the form of an id and given once.
func CheckLabels[T ~string](field string, labels []T, limit int) error {
	if len(labels) > limit {
		return invalid(field, "must hold at most %d", limit)
	}
	for i, label := range labels {
		if CheckID(field, string(label)) != nil {
			return invalid(field, "must hold names of 1 to %d characters of A-Z a-z 0-9 _ -", MaxIDLength)
		}
		if slices.Contains(labels[:i], label) {
			return invalid(field, "holds %q twice", label)
		}
	}
	return nil
}

// CheckMetadata returns an *Invalid unless there are at most 20 names of the form
// of an id, with values of at most 256 bytes, together at most 2 KiB.
func CheckMetadata(metadata map[string]string) error {
	const field = "metadata"
	if len(metadata) > MaxMetadata {
		return invalid(field, "must hold at most %d names", MaxMetadata)
	}
	size := 0
	for name, value := range metadata {
		if CheckID(field, name) != nil {
			return invalid(field, "must have names of 1 to %d characters of A-Z a-z 0-9 _ -", MaxIDLength)
		}
		if err := CheckText(field+"."+name, value, MaxMetadataValue); err != nil {
			return err
		}
		size += len(name) + len(value)
	}
	if size > MaxMetadataBytes {
		return invalid(field, "must be at most %d bytes in all, names and values together", MaxMetadataBytes)
	}
	return nil
}
