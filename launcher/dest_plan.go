package launcher

import (
	"slices"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep"
	"vmhuge/hostprep/plan"
	"vmhuge/internal/pages"
	"vmhuge/xml"
)

// PlanHost is what a plan must know of the host, as far as its libvirt shows it: neither
// what programs there have reserved of the free pages, nor what starts there now.
func (d *Dest) PlanHost() plan.Host {
	var total, available int64
	if m, err := d.conn.GetMemoryStats(int(libvirt.NODE_MEMORY_STATS_ALL_CELLS), 0); err == nil {
		total, available = int64(m.Total)*pages.KiB, int64(m.Free+m.Buffers+m.Cached)*pages.KiB
	}
	return plan.NewHost(total, available, d.small, d.nodes, d.state)
}

// DestStatus is another host with its domains, as its libvirt shows them.
type DestStatus struct {
	Host    string         `json:"host"` // the URI of its libvirt
	Libvirt uint32         `json:"libvirt_version"`
	QEMU    uint32         `json:"qemu_version"`
	Pools   []DestPool     `json:"pools"`
	Memory  []DestMemory   `json:"memory"`
	Domains []DomainStatus `json:"domains"`
}

// Status is the host as its libvirt shows it, and ends the connection.
func (d *Dest) Status() (DestStatus, error) {
	defer d.Close()
	domains, err := d.domains()
	return DestStatus{d.URI, d.Libvirt, d.QEMU, d.Pools, d.Memory, domains}, err
}

// domains are the domains there, by name: states and what their XML asks for.
func (d *Dest) domains() ([]DomainStatus, error) {
	l := &Launcher{conn: d.conn, uri: d.URI}
	all, err := l.domains(nil)
	var guests []DomainStatus
	for _, dom := range all {
		g := DomainStatus{Name: dom.name, UUID: dom.uuid, State: dom.state, Active: dom.state.active(), Backing: pages.None}
		if info, err := dom.GetInfo(); err == nil {
			g.RAMKiB = int64(info.MaxMem)
		}
		if demand, err := xml.Demand(dom.xml, 0); err == nil {
			g.Backing, g.Totals = demand.Backing, demand.Totals()
		}
		guests = append(guests, g)
		_ = dom.Free()
	}
	return guests, err
}

// Running are the UUIDs of the guests that run there.
func (d *Dest) Running() (uuids []string, err error) {
	l := &Launcher{conn: d.conn, uri: d.URI}
	running, err := l.uuids(libvirt.CONNECT_LIST_DOMAINS_ACTIVE)
	for uuid := range running {
		uuids = append(uuids, uuid)
	}
	slices.Sort(uuids)
	return uuids, err
}

// Bars says what but memory keeps a guest from starting there; "": nothing that can be
// seen from here.
func (d *Dest) Bars(c hostprep.Candidate) string {
	if f := unfilled(c.Demand, d.QEMU, c.Name); f != nil {
		return f.Have + "; needed: " + f.Need
	}
	if !slices.ContainsFunc(c.Demand.Items, func(i pages.Item) bool { return i.Source != "memfd" }) {
		return ""
	}
	missing, _ := d.missingMount(c.Doc)
	return missing
}
