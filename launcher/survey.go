package launcher

import (
	"strconv"

	"libvirt.org/go/libvirt"
)

// A survey is what libvirt says of all domains in a few calls, for a run that
// looks at many: asked of each by itself, every answer costs a round trip.
type survey struct {
	doms                       map[string]*libvirt.Domain // by id, UUID and name
	shutOff, persistent, saved map[string]bool            // by UUID
	runningIDs                 []int
}

// Survey has the launcher look at libvirt and at the host once for all domains
// that it checks from here on.
func (l *Launcher) Survey() error {
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
