package launcher

import (
	"strconv"

	"libvirt.org/go/libvirt"
)

// A survey is what libvirt says of all domains in a few calls, for a run that
// looks at many: asked of each by itself, every answer costs a round trip.
type survey struct {
	doms                       map[string]*libvirt.Domain // by id, UUID and name
	names                      []string
	shutOff, persistent, saved map[string]bool // by UUID
	runningIDs                 []int
	ahead                      map[string]*definition // by UUID
}

// definition is the XML of a domain that is read before anybody asks for it.
type definition struct {
	dom  *domain
	done chan struct{}
	text []byte
	err  error
}

// readers is how many definitions are read at a time: the daemon writes the XML of one while
// another is on its way, and the one before is looked at here.
const readers = 4

// readAhead reads the definitions of domains beside whatever is done with the first of them,
// in their order.
func (s *survey) readAhead(names []string) {
	s.ahead = map[string]*definition{}
	var all []*definition
	for _, name := range names {
		dom := s.lookup(name)
		if dom == nil {
			continue
		}
		uuid, err := dom.GetUUIDString()
		if err != nil || s.ahead[uuid] != nil {
			_ = dom.Free()
			continue
		}
		d := &definition{dom: &domain{Domain: dom, name: name, persistent: s.persistent[uuid]}, done: make(chan struct{})}
		s.ahead[uuid] = d
		all = append(all, d)
	}
	next := make(chan *definition, len(all))
	for _, d := range all {
		next <- d
	}
	close(next)
	for range min(readers, len(all)) {
		go func() {
			for d := range next {
				d.text, d.err = d.dom.definition()
				_ = d.dom.Free()
				close(d.done)
			}
		}()
	}
}

// definition is what readAhead has read of a domain; false: it was not asked to.
func (s *survey) definition(uuid string) (text []byte, ok bool, err error) {
	if s == nil || s.ahead[uuid] == nil {
		return nil, false, nil
	}
	d := s.ahead[uuid]
	<-d.done
	return d.text, true, d.err
}

// surveyed returns a launcher that looks at libvirt and at the host once, for one look at all
// domains.
func (l *Launcher) surveyed() (*Launcher, error) {
	once := *l
	err := once.Survey(nil)
	if err == nil {
		once.survey.readAhead(once.survey.names)
	}
	return &once, err
}

// Survey has the launcher look at libvirt and at the host once for all domains that it checks
// from here on. The definitions of those that are named are read meanwhile.
func (l *Launcher) Survey(names []string) error {
	s := &survey{doms: map[string]*libvirt.Domain{}, runningIDs: []int{}}
	doms, err := l.conn.ListAllDomains(0)
	if err != nil {
		return refused(err, "listing the domains")
	}
	byID := map[string]*libvirt.Domain{}
	for i := range doms {
		dom := &doms[i]
		name, _ := dom.GetName()
		s.doms[name] = dom
		s.names = append(s.names, name)
		if id, err := dom.GetID(); err == nil {
			s.runningIDs = append(s.runningIDs, int(id))
			byID[strconv.FormatUint(uint64(id), 10)] = dom
		}
	}
	for i := range doms { // of equal words the id counts before the UUID, and that before the name
		if uuid, err := doms[i].GetUUIDString(); err == nil {
			s.doms[uuid] = &doms[i]
		}
	}
	for id, dom := range byID {
		s.doms[id] = dom
	}
	for flag, to := range map[libvirt.ConnectListAllDomainsFlags]*map[string]bool{
		libvirt.CONNECT_LIST_DOMAINS_SHUTOFF: &s.shutOff, libvirt.CONNECT_LIST_DOMAINS_PERSISTENT: &s.persistent,
		libvirt.CONNECT_LIST_DOMAINS_MANAGEDSAVE: &s.saved,
	} {
		*to, err = l.uuids(flag)
		if err != nil {
			return err
		}
	}
	l.survey, l.host = s, l.host.Snapshot()
	s.readAhead(names)
	return nil
}

func (l *Launcher) uuids(flag libvirt.ConnectListAllDomainsFlags) (map[string]bool, error) {
	doms, err := l.conn.ListAllDomains(flag)
	if err != nil {
		return nil, refused(err, "listing the domains")
	}
	uuids := map[string]bool{}
	for i := range doms {
		if uuid, err := doms[i].GetUUIDString(); err == nil {
			uuids[uuid] = true
		}
		_ = doms[i].Free()
	}
	return uuids, nil
}

// lookup finds a domain of the survey; nil: there was none of the name.
func (s *survey) lookup(name string) *libvirt.Domain {
	if s == nil || s.doms[name] == nil || s.doms[name].Ref() != nil {
		return nil
	}
	return s.doms[name]
}

func (l *Launcher) runningIDs() ([]int, error) {
	if l.survey != nil {
		return l.survey.runningIDs, nil
	}
	running := []int{}
	ids, err := l.conn.ListDomains()
	if err != nil {
		return nil, refused(err, "listing the running domains")
	}
	for _, id := range ids {
		running = append(running, int(id))
	}
	return running, nil
}

// ramShutOff is the memory of all domains that don't run, in KiB and by UUID. One call asks for
// it; for a domain that runs, QEMU would be asked.
func (l *Launcher) ramShutOff() map[string]int64 {
	ram := map[string]int64{}
	stats, err := l.conn.GetAllDomainStats(nil, libvirt.DOMAIN_STATS_BALLOON, libvirt.CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE)
	if err != nil {
		return ram // each is asked by itself
	}
	for _, s := range stats {
		if uuid, err := s.Domain.GetUUIDString(); err == nil && s.Balloon != nil && s.Balloon.MaximumSet {
			ram[uuid] = int64(s.Balloon.Maximum)
		}
		_ = s.Domain.Free()
	}
	return ram
}
