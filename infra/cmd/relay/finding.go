package main

// Verdicts of a check.
const (
	verdictOK   = "ok"
	verdictWarn = "warn"
	verdictFail = "FAIL"
	verdictSkip = "skip"
)

// finding is what one check found, and what to do about it.
type finding struct {
	Check   string `json:"check"`
	Verdict string `json:"verdict"`
	Found   string `json:"found"`
	Do      string `json:"do,omitempty"`
}

// findingLines show a finding for people.
func (s *session) findingLines(f finding) []string {
	lines := []string{s.paint(f.Verdict+"    "[:max(0, 4-len(f.Verdict))]) + "  " + cell(f.Check) + ": " + cell(f.Found)}
	if f.Do != "" {
		lines = append(lines, "      -> "+cell(f.Do))
	}
	return lines
}
