package hostfs

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// asleep are reads that have a processor, and use none.
func asleep() *stuckReads {
	return &stuckReads{reads: map[string]*pendingRead{}, runs: func(int) bool { return false }}
}

// heldReads are reads that end when the test does.
func heldReads(t *testing.T) (s *stuckReads, held func() (string, error)) {
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	return asleep(), func() (string, error) { <-end; return "", nil }
}

// On a host that has no processor for it, a read that nothing holds up takes long, and the next
// one does: none of them is given up, and they cost no patience. One that never ends is given up
// all the same.
func TestReadsWithoutProcessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, held := heldReads(t)
		s.runs = func(int) bool { return true }
		for i := range 3 {
			if text, err := s.read(strconv.Itoa(i), freeWait, processWait, func() (string, error) {
				time.Sleep(10*time.Second + 7*time.Millisecond)
				return "read", nil
			}); text != "read" || err != nil {
				t.Fatalf("process %d: %q, %v", i, text, err)
			}
		}
		if s.spentNow() > 0 {
			t.Errorf("it cost %v of the patience", s.spentNow())
		}
		if _, err := s.read("endless", freeWait, processWait, held); !errors.Is(err, ErrHeld) {
			t.Error(err)
		}
	})
}

// The kernel says of a thread of ours whether it has something to do.
func TestThreadRuns(t *testing.T) {
	random, err := unix.Open("/dev/urandom", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(random)
	s := &stuckReads{reads: map[string]*pendingRead{}, runs: threadRuns}
	if _, err := s.read("runs", time.Millisecond, 20*time.Millisecond, func() (string, error) {
		buffer := make([]byte, 1<<20)
		for until := time.Now().Add(300 * time.Millisecond); time.Now().Before(until); {
			if _, err := unix.Read(random, buffer); err != nil {
				return "", err
			}
		}
		return "", nil
	}); err != nil {
		t.Error(err)
	}
	end := make(chan struct{})
	defer close(end)
	if _, err := s.read("sleeps", time.Millisecond, 20*time.Millisecond, func() (string, error) { <-end; return "", nil }); !errors.Is(err, ErrHeld) {
		t.Error(err)
	}
}

// However many processes hold reads up, and however often each is read, the program waits
// little more than two seconds, and still reads those that hold nothing up.
func TestManyStuckReads(t *testing.T) {
	for _, processes := range []int{1, 2, 20, 60, 1000} {
		synctest.Test(t, func(t *testing.T) {
			s, held := heldReads(t)
			began := time.Now()
			for round := range 10 {
				for i := range processes {
					if _, err := s.read(strconv.Itoa(i), freeWait, processWait, held); !errors.Is(err, ErrHeld) {
						t.Fatalf("process %d in round %d: %v", i, round, err)
					}
				}
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("%d processes: waited %s", processes, took)
			}
			text, err := s.read("free", freeWait, processWait, func() (string, error) { return "read", nil })
			if processes < maxStuck && (text != "read" || err != nil) {
				t.Errorf("beside %d, a process that holds nothing up: %q, %v", processes, text, err)
			}
		})
	}
}

// A process that lets go just in time is waited for as well, and not without end.
func TestReadsThatAreSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, began := asleep(), time.Now()
		read := 0
		for i := range 50 {
			text, _ := s.read(strconv.Itoa(i), freeWait, processWait, func() (string, error) {
				time.Sleep(900 * time.Millisecond)
				return "read", nil
			})
			read += len(text) / len("read")
		}
		if took := time.Since(began); read == 0 || took > 3*time.Second {
			t.Errorf("%d were read in %s", read, took)
		}
		time.Sleep(recovery) // a program that runs on is patient again, and reads them anew
		if text, err := s.read("40", freeWait, processWait, func() (string, error) {
			time.Sleep(900 * time.Millisecond)
			return "anew", nil
		}); text != "anew" || err != nil {
			t.Errorf("later: %q, %v", text, err)
		}
	})
}

// A guest's RAM is waited for longer, and the time that the kernel needs to count it costs
// no patience.
func TestReadsOfLargeGuests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := heldReads(t)
		const gib = 512
		for i := range 20 {
			if _, err := s.read(strconv.Itoa(i), freeWait+gib*gibWait, guestWait, func() (string, error) {
				time.Sleep(gib * 13 * time.Millisecond)
				return "", nil
			}); err != nil {
				t.Fatalf("guest %d: %v", i, err)
			}
		}
		if _, err := s.read("allocates", freeWait, guestWait, func() (string, error) {
			time.Sleep(4 * time.Second)
			return "", nil
		}); err != nil {
			t.Error(err)
		}
	})
}
