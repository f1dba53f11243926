package metrics

import (
	"errors"
	"sync"
	"time"
)

const (
	// fresh is how long a value answers all who ask.
	fresh = time.Second
	// patience is how long a scrape waits for a reading, libvirtd's above all.
	// Prometheus by default waits ten seconds for all of it.
	patience = 8 * time.Second
)

// reading is something that is read when somebody asks, never twice at a time:
// scrapes must not pile up on a libvirtd that is slow.
type reading[T any] struct {
	read     func() (T, error)
	failed   func(error)
	patience time.Duration

	mu      sync.Mutex
	running chan struct{} // closed at the end of the reading that is on its way; nil: none is
	began   time.Time
	ended   time.Time
	value   T
	last    outcome
	told    string // the error that failed has heard of
}

var errHangs = errors.New("it does not answer")

// get returns a value that is at most as old as fresh.
func (r *reading[T]) get() (T, outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil && time.Since(r.ended) >= fresh {
		r.running, r.began = make(chan struct{}), time.Now()
		go r.run()
	}
	if running := r.running; running != nil {
		r.mu.Unlock()
		late := time.NewTimer(r.patience)
		select {
		case <-running:
		case <-late.C:
		}
		late.Stop()
		r.mu.Lock()
		if r.running == running {
			var none T
			r.note(errHangs)
			return none, outcome{time.Since(r.began), r.last.errors, errHangs}
		}
	}
	return r.value, r.last
}

func (r *reading[T]) run() {
	value, err := r.read()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(err)
	r.ended = time.Now()
	r.value, r.last.took, r.last.err = value, r.ended.Sub(r.began), err
	close(r.running)
	r.running = nil
}

// note counts an error, and tells of it if it is another than before.
func (r *reading[T]) note(err error) {
	text := ""
	if err != nil {
		r.last.errors++
		if text = err.Error(); text != r.told {
			r.failed(err)
		}
	}
	r.told = text
}
