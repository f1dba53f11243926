package hostprep

import "sync"

// Remember returns the host as one that reads a file once, for who asks many
// questions, or of many domains: all are about the same moment. Who changes the
// host looks anew.
func (h Host) Remember() Host {
	h.seen = &sync.Map{}
	return h
}

// remembering returns the host itself if it remembers already.
func (h Host) remembering() Host {
	if h.seen != nil {
		return h
	}
	return h.Remember()
}

// once reads what a run needs for each domain, the first time if the host
// remembers.
func once[T any](h Host, what string, read func() (T, error)) (T, error) {
	if h.seen == nil {
		return read()
	}
	known, ok := h.seen.Load(what)
	if !ok {
		known, _ = h.seen.LoadOrStore(what, sync.OnceValues(read))
	}
	return known.(func() (T, error))()
}
