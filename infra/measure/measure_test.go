package measure

import "testing"

func TestEventsHaveTheirSize(t *testing.T) {
	for n := range 100 {
		if got := len(EventData(n)); got != DataBytes {
			t.Fatalf("event %d has %d bytes", n, got)
		}
	}
}

func TestSpread(t *testing.T) {
	if got, want := SpreadOf([]float64{3, 1, 2, 10}), (Spread{1, 2.5, 10}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Percentile([]float64{4, 1, 3, 2}, 0.5); got != 2 {
		t.Errorf("median %v", got)
	}
	if got := Percentile([]float64{4, 1, 3, 2}, 0.99); got != 4 {
		t.Errorf("p99 %v", got)
	}
}
