package safedial

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// PortRange is the ports from First to Last, both included.
type PortRange struct{ First, Last uint16 }

// ParsePorts reads comma-separated ports and ranges such as "8443,9000-9100".
func ParsePorts(text string) ([]PortRange, error) {
	var list []PortRange
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, fromErr := strconv.ParseUint(first, 10, 16)
		to, toErr := strconv.ParseUint(last, 10, 16)
		if fromErr != nil || toErr != nil || from == 0 || to < from {
			return nil, fmt.Errorf("%q is not a port or a range such as 9000-9100", part)
		}
		list = append(list, PortRange{uint16(from), uint16(to)})
	}
	return list, nil
}

func formatPorts(list []PortRange) string {
	parts := make([]string, len(list))
	for i, r := range list {
		parts[i] = strconv.Itoa(int(r.First))
		if r.Last != r.First {
			parts[i] += "-" + strconv.Itoa(int(r.Last))
		}
	}
	return strings.Join(parts, ", ")
}

// ParseCIDRs reads comma-separated networks such as "127.0.0.0/8,::1/128".
func ParseCIDRs(text string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network such as 10.1.0.0/16", part)
		}
		list = append(list, prefix.Masked())
	}
	return list, nil
}
