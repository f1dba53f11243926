package host

import (
	"sync"
)

// cacheKey is what this package keeps with Once.
type cacheKey string

// Snapshot returns the host as one that reads a file once. It is for many
// questions, or many domains, about the same moment; after a change of the host
// a new one is needed.
func (h Host) Snapshot() Host {
	h.cache = &sync.Map{}
	return h
}

// EnsureSnapshot returns the host itself if it remembers already.
func (h Host) EnsureSnapshot() Host {
	if h.cache != nil {
		return h
	}
	return h.Snapshot()
}

// Once returns what read returns: of a Snapshot the same each time, read the
// first time. The key's type is the caller's own, as a context's keys are.
func Once[T any](h Host, key any, read func() (T, error)) (T, error) {
	if h.cache == nil {
		return read()
	}
	known, ok := h.cache.Load(key)
	if !ok {
		known, _ = h.cache.LoadOrStore(key, sync.OnceValues(read))
	}
	return known.(func() (T, error))()
}
