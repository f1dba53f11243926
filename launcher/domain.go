package launcher

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/advice"
	"vmhuge/internal/nearest"
	"vmhuge/internal/pages"
	"vmhuge/xml"
)

// domain is a domain as libvirt knows it at this moment.
type domain struct {
	*libvirt.Domain
	name, uuid string
	state      State
	xml        []byte // the inactive definition with its secrets; a transient domain's live one
	persistent bool
	instead    bool // xml is for one start, in place of the definition
}

// State is the state of a domain in virsh's words.
type State string

// The states of a domain.
const (
	Running  State = "running"
	Paused   State = "paused"
	Shutdown State = "in shutdown"
	ShutOff  State = "shut off"
	Crashed  State = "crashed"
)

// active says whether a QEMU process stands behind the domain.
func (s State) active() bool { return s != ShutOff && s != Crashed }

func stateOf(s libvirt.DomainState) State {
	switch s {
	case libvirt.DOMAIN_SHUTOFF:
		return ShutOff
	case libvirt.DOMAIN_CRASHED:
		return Crashed
	case libvirt.DOMAIN_SHUTDOWN:
		return Shutdown
	case libvirt.DOMAIN_PAUSED, libvirt.DOMAIN_PMSUSPENDED:
		return Paused
	}
	return Running
}

// find looks a domain up by id, UUID or name, in virsh's order.
func (l *Launcher) find(name string) (*domain, error) {
	dom, err := l.lookup(name)
	if err != nil {
		return nil, err
	}
	d, err := l.read(dom)
	if err != nil {
		_ = dom.Free()
	}
	return d, err
}

func (l *Launcher) lookup(name string) (*libvirt.Domain, error) {
	if dom := l.survey.lookup(name); dom != nil {
		return dom, nil
	}
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		if dom, err := l.conn.LookupDomainById(uint32(id)); err == nil {
			return dom, nil
		}
	}
	if dom, err := l.conn.LookupDomainByUUIDString(name); err == nil {
		return dom, nil
	}
	dom, err := l.conn.LookupDomainByName(name)
	if err == nil {
		return dom, nil
	}
	err = refused(err, fmt.Sprintf("domain %q", name))
	var told *advice.Error
	var theirs libvirt.Error
	if errors.As(err, &theirs) && theirs.Code == libvirt.ERR_NO_DOMAIN && errors.As(err, &told) {
		if isPattern(name) {
			told.Why = "no domain has a name that matches it"
		} else if names, err := l.Names(); err == nil {
			told.Why += nearest.Ask(name, names)
		}
	}
	return nil, err
}

func (l *Launcher) read(dom *libvirt.Domain) (*domain, error) {
	d := &domain{Domain: dom}
	var err error
	d.name, err = dom.GetName()
	if err != nil {
		return nil, refused(err, "reading a domain's name")
	}
	d.uuid, err = dom.GetUUIDString()
	if err != nil {
		return nil, refused(err, d.name)
	}
	if l.survey != nil {
		d.persistent = l.survey.persistent[d.uuid]
	} else if d.persistent, err = dom.IsPersistent(); err != nil {
		return nil, refused(err, d.name)
	}
	d.state = ShutOff
	if l.survey == nil || !l.survey.shutOff[d.uuid] {
		state, _, err := dom.GetState()
		if err != nil {
			return nil, refused(err, d.name)
		}
		d.state = stateOf(state)
	}
	var ahead bool
	if d.xml, ahead, err = l.survey.definition(d.uuid); !ahead {
		d.xml, err = d.definition()
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// definition reads the XML that the next start uses. Without the secure flag
// a define of it would lose the passwords of VNC and SPICE.
func (d *domain) definition() ([]byte, error) {
	flags := libvirt.DOMAIN_XML_SECURE
	if d.persistent {
		flags |= libvirt.DOMAIN_XML_INACTIVE
	}
	text, err := d.GetXMLDesc(flags)
	if err != nil {
		return nil, refused(err, "reading the XML of "+d.name)
	}
	return []byte(text), nil
}

// demand reads what a start with that XML takes on the host, as far as that can
// be seen.
func (l *Launcher) demand(doc []byte) (pages.Demand, error) {
	if !l.qemu || l.remote {
		return xml.Demand(doc, 0)
	}
	return xml.DemandOn(doc, func() (pages.Size, error) { return libvirtd.DefaultPageSize(l.host, l.conf) })
}

// Names returns the names of all domains, sorted.
func (l *Launcher) Names() ([]string, error) { return l.list(All) }

func (l *Launcher) list(which Which) ([]string, error) {
	doms, err := l.conn.ListAllDomains(libvirt.ConnectListAllDomainsFlags(which))
	if err != nil {
		return nil, refused(err, "listing the domains")
	}
	var names []string
	for i := range doms {
		if name, err := doms[i].GetName(); err == nil {
			names = append(names, name)
		}
		_ = doms[i].Free()
	}
	slices.Sort(names)
	return names, nil
}

// Only returns the one domain whose XML asks for huge pages, for a start
// without a name.
func (l *Launcher) Only() (string, error) {
	names, err := l.Names()
	if err != nil {
		return "", err
	}
	var enabled []string
	for _, name := range names {
		d, err := l.find(name)
		if err != nil {
			continue
		}
		if demand, err := l.demand(d.xml); err == nil && demand.Backing != pages.None {
			enabled = append(enabled, name)
		}
		_ = d.Free()
	}
	if len(enabled) == 1 {
		return enabled[0], nil
	}
	e := &advice.Error{What: "starting the domain that is enabled", Why: "no domain is enabled", Do: "run vmhuge enable DOMAIN first", Kind: advice.Usage}
	if len(enabled) > 1 {
		e.Why, e.Do = "several are: "+strings.Join(enabled, ", "), "name one"
	}
	return "", e
}
