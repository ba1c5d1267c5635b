package main

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"webhookrelay/infra/measure"
)

// The quick form of each scenario: what it says of behaviour must hold on any
// machine, what it says of speed need not.

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // nearly all their time is waiting
	os.Exit(m.Run())
}

// noteSources makes `go test` run this again when the relay has changed: a cached
// result counts as long as nothing changed that a test looked at.
func noteSources() {
	for _, folder := range []string{"../../shared", "../cmd"} {
		_ = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, _ error) error {
			_, _ = os.Stat(path) // that it was asked for is all that counts
			return nil
		})
	}
}

func TestScenarios(t *testing.T) {
	noteSources()
	binary, err := measure.BuildRelay(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, run func(t *testing.T, l *lab) error) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := run(t, &lab{work: t.TempDir(), binary: binary, settings: quick}); err != nil {
				t.Fatal(err)
			}
		})
	}
	check("AnEndpointThatHangsHoldsUpNoOther", func(t *testing.T, l *lab) error {
		w, err := l.beside(l.Backlogs[0], hang)
		if w.Delivered != w.Posted || w.Posted == 0 {
			t.Errorf("%d of %d events were delivered", w.Delivered, w.Posted)
		}
		return err
	})
	check("NorDoesOneThatFails", func(t *testing.T, l *lab) error {
		w, err := l.beside(l.Backlogs[0], status(500))
		if w.Delivered != w.Posted || w.Posted == 0 {
			t.Errorf("%d of %d events were delivered", w.Delivered, w.Posted)
		}
		return err
	})
	check("AfterAnOutageAllArrives", func(t *testing.T, l *lab) error {
		r, err := l.away()
		if r.Missing > 0 || r.Posted == 0 || r.Posts > r.Posted {
			t.Errorf("%d of %d events are missing; %d POSTs while the endpoint was away", r.Missing, r.Posted, r.Posts)
		}
		return err
	})
	check("AKillLosesNothing", func(t *testing.T, l *lab) error {
		s, err := l.survive()
		if s.Missing > 0 || s.Accepted != l.KillEvents || s.Kills == 0 {
			t.Errorf("%d of %d events are missing after %d kills", s.Missing, s.Accepted, s.Kills)
		}
		return err
	})
	check("ALockedStoreLosesNothing", func(t *testing.T, l *lab) error {
		found, _, err := locked(l)
		if err == nil && found[0].Met != met {
			t.Errorf("%+v", found[0])
		}
		return err
	})
	check("ADiskThatRefusesWritesLosesNothing", func(t *testing.T, l *lab) error {
		found, _, err := disk(l)
		if err == nil && found[0].Met == missed {
			t.Errorf("%+v", found[0])
		}
		return err
	})
	check("AnswersAreMinded", func(t *testing.T, l *lab) error {
		found, _, err := answers(l)
		if err == nil && found[0].Met != met {
			t.Errorf("%+v", found[0])
		}
		return err
	})
}
