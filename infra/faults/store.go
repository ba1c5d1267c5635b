package main

import (
	"database/sql"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	_ "modernc.org/sqlite" // to lock the relay's file from outside

	"webhookrelay/infra/measure"
)

// blocked is what became of events while the relay could not write its file.
type blocked struct {
	Acknowledged int `json:"acknowledged"`
	Missing      int `json:"missing"`
	Duplicates   int `json:"duplicates"`
	// Refused is how many of them were refused at first.
	Refused int `json:"acknowledged_after_refusal"`
	// Accepts and Delivers are the seconds from the moment the file could be
	// written again until the first event was accepted, and until all that had
	// been accepted by then was delivered.
	Accepts  float64 `json:"seconds_until_it_accepts"`
	Delivers float64 `json:"seconds_until_all_delivered"`
}

// locked has another process hold a lock on the relay's file.
func locked(l *lab) ([]finding, any, error) {
	b, err := l.block(func(_ *measure.Relay, file string) (func() error, error) { return lockFile(file) })
	if err != nil {
		return nil, nil, err
	}
	return []finding{l.blockedRow("the store locked by another process", b)}, b, nil
}

// disk has the system refuse the relay's writes to files.
func disk(l *lab) ([]finding, any, error) {
	if _, err := exec.LookPath("prlimit"); err != nil {
		row := l.blockedRow("the disk refusing writes", blocked{})
		row.Ours, row.Met = "no prlimit on this system", notMeasured
		return []finding{row}, nil, nil
	}
	b, err := l.block(func(r *measure.Relay, _ string) (func() error, error) { return refuseWrites(r.PID()) })
	if err != nil {
		return nil, nil, err
	}
	return []finding{l.blockedRow("the disk refusing writes", b)}, b, nil
}

func (l *lab) blockedRow(what string, b blocked) finding {
	return finding{
		Scenario: fmt.Sprintf("its queue store gone: %s for %d s at %d events/s", what, l.Blocked, l.Rate),
		Measured: "acknowledged but missing; accepts again, and all is delivered",
		Outpost:  "193 (Redis); 393 and a stop (RabbitMQ)", Svix: "0", Convoy: "2,302",
		Ours: fmt.Sprintf("%d; %s s, %s s", b.Missing, measure.Show(b.Accepts), measure.Show(b.Delivers)),
		Goal: "0; resumes unaided", Met: verdict(b.Missing == 0 && b.Acknowledged > 0),
	}
}

// lockFile takes SQLite's write lock, as a backup tool or a shell left open would.
func lockFile(file string) (unlock func() error, err error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file, err), db.Close())
	}
	return func() error {
		_, err := db.Exec("ROLLBACK")
		return errors.Join(err, db.Close())
	}, nil
}

// refuseWrites has every write to a file fail that the process makes.
func refuseWrites(pid int) (undo func() error, err error) {
	limit := func(soft string) error {
		if out, err := exec.Command("prlimit", "--pid", strconv.Itoa(pid), "--fsize="+soft+":").CombinedOutput(); err != nil {
			return fmt.Errorf("prlimit: %w: %s", err, out)
		}
		return nil
	}
	return func() error { return limit("unlimited") }, limit("0")
}

// block posts events before, while and after the relay's file cannot be written.
func (l *lab) block(cut func(r *measure.Relay, file string) (undo func() error, err error)) (b blocked, err error) {
	directory := l.directory()
	relay, err := measure.StartRelay(l.binary, directory)
	if err != nil {
		return b, err
	}
	defer relay.Kill()
	to, err := receiver(relay, "a")
	if err != nil {
		return b, err
	}
	defer to.Close()
	n := 2 * l.Rate * int(l.Blocked)
	to.Expect(n)
	loader := l.loader(relay, "a")
	loader.Patience = time.Minute
	type paced struct {
		posted []measure.Posted
		err    error
	}
	done := make(chan paced, 1)
	go func() {
		posted, err := loader.Pace(bodies(n), l.Rate)
		done <- paced{posted, err}
	}()
	time.Sleep(l.Blocked.duration() / 2)
	undo, err := cut(relay, filepath.Join(directory, "relay.db"))
	if err != nil {
		return b, err
	}
	time.Sleep(l.Blocked.duration())
	if err := undo(); err != nil {
		return b, err
	}
	back := time.Now()
	p := <-done
	if p.err != nil {
		return b, p.err
	}
	to.Await(time.Minute)
	time.Sleep(time.Second) // for duplicates
	return account(p.posted, to.Received(), back), nil
}

func account(posted []measure.Posted, got measure.Received, back time.Time) blocked {
	b := blocked{
		Acknowledged: len(posted), Missing: got.Missing(measure.IDs(posted), []string{hook}), Duplicates: got.Repeats, Accepts: -1,
	}
	for _, p := range posted {
		if p.Again {
			b.Refused++
		}
		if since := p.Acked.Sub(back).Seconds(); since >= 0 && (b.Accepts < 0 || since < b.Accepts) {
			b.Accepts = measure.Round4(since)
		}
		at, ok := got.First[measure.Arrival{Path: hook, ID: p.ID}]
		if ok && p.Sent.Before(back) {
			b.Delivers = max(b.Delivers, measure.Round4(at.Sub(back).Seconds()))
		}
	}
	return b
}
