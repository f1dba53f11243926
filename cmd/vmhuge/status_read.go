package main

import "vmhuge/launcher"

// hostStatus is a status as far as it could be read.
type hostStatus struct {
	launcher.Status
	unreachable error // no libvirt answers: the pools are there all the same
	err         error
}

func (p *program) readStatus(names []string) (s hostStatus) {
	l, err := p.connect()
	switch {
	case err == nil:
		defer l.Close()
		s.Status, s.err = statusOf(l, names)
	case len(names) == 0:
		s.unreachable = err
		s.Status, s.err = launcher.ReadHostStatus(p.host())
	default:
		s.err = err
	}
	return s
}

// statusOf reads the status with the domains that names stand for, or all.
func statusOf(l *launcher.Launcher, names []string) (launcher.Status, error) {
	names, err := l.Expand(names)
	if err != nil {
		return launcher.Status{}, err
	}
	return l.Status(names)
}

// statusAnswer is a status in JSON.
type statusAnswer struct {
	launcher.Status
	DomainsError *jsonError `json:"domains_error,omitempty"`
	// Changed is the fields that differ from those of the line before, with --watch.
	Changed []string `json:"changed,omitempty"`
}

func (s hostStatus) answer() statusAnswer {
	answer := statusAnswer{Status: s.Status}
	if s.unreachable != nil { // that there are no domains is not known
		told := errorOf(s.unreachable)
		answer.DomainsError = &told
	}
	return answer
}
