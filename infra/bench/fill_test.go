package main

import "testing"

func TestOfWhatIsFilledTheOldestHasExpired(t *testing.T) {
	dir := t.TempDir()
	done, err := fill(t.Context(), dir, 1500, 500)
	if err != nil {
		t.Fatal(err)
	}
	if want := (filled{deliveries: 1800, expiredRows: 1100}); done != want {
		t.Errorf("filled %+v, want %+v", done, want)
	}
	for _, want := range []int{done.expiredRows, 0} {
		if removed, err := sweepRest(&growthFile{dir: dir}); err != nil || removed != want {
			t.Errorf("removed %d rows, want %d (%v)", removed, want, err)
		}
	}
}
