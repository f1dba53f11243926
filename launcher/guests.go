package launcher

import (
	"errors"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/process"
	"vmhuge/internal/pages"
)

// Running looks at every domain: its state, what its XML asks for, and the proof
// of one that runs. Guests may come and go meanwhile; an error tells of those
// that could not be read, and the others are there.
func (l *Launcher) Running() ([]Report, error) {
	if err := l.needHost("looking at the guests"); err != nil {
		return nil, err
	}
	l, err := l.surveyed()
	if err != nil {
		return nil, err
	}
	doms, err := l.conn.ListAllDomains(0)
	if err != nil {
		return nil, refused(err, "listing the domains")
	}
	running, err := process.FindGuests(l.host.Root) // once, not for each
	var reports []Report
	for i := range doms {
		d, readErr := l.read(&doms[i])
		if readErr == nil {
			r, proofErr := l.summary(d, running)
			reports, readErr = append(reports, r), proofErr
		}
		if !isGone(readErr) {
			err = errors.Join(err, readErr)
		}
		_ = doms[i].Free()
	}
	return reports, err
}

// summary is what Running tells of one domain.
func (l *Launcher) summary(d *domain, running map[string]process.Process) (Report, error) {
	r := Report{Name: d.name, UUID: d.uuid, State: d.state, Backing: pages.None}
	// One whose backing libvirt would refuse has none.
	if demand, err := l.demand(d.xml); err == nil {
		r.Backing, r.Totals = demand.Backing, demand.Totals()
	}
	if !d.state.active() {
		return r, nil
	}
	proof, err := l.prove(d, running)
	if err == nil {
		r.Proof = &proof
		return r, nil
	}
	state, _, now := d.GetState()
	if isGone(now) || (now == nil && !stateOf(state).active()) {
		r.State, err = ShutOff, nil // it has ended since
	}
	return r, err
}

// isGone says that an error is libvirt's for a domain that is no more.
func isGone(err error) bool {
	var e libvirt.Error
	return errors.As(err, &e) && e.Code == libvirt.ERR_NO_DOMAIN
}
