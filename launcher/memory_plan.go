package launcher

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/xml"
)

// resizing is one change of a domain's memory, as its XML allows it.
type resizing struct {
	kind pages.Kind // DIMM or VirtioMem
	kib  int64      // by which the memory grows; negative: shrinks
	// before is the memory, device the one that changes; a DIMM that is added is not among
	// those of before.
	before xml.Memory
	device xml.MemoryDevice
	doc    []byte // the domain's XML with the change
	xml    string // of the device, for libvirt
	demand pages.Demand
}

// pages is by how many pages of its size the guest grows, or, a negative number, shrinks.
func (r resizing) pages() int64 {
	size := r.demand.Items[0].PageSize
	if size == 0 { // unknown here, and nothing is taken from a pool
		return 0
	}
	return r.kib / size.KiB()
}

// planResize works out how a domain gets the memory that a user asks for, by its XML alone. What
// that does not allow is an error.
func (l *Launcher) planResize(doc []byte, o ResizeOptions) (r resizing, err error) {
	r.before, err = xml.ReadMemory(doc)
	if err != nil {
		return r, err
	}
	if r.kib = o.KiB; o.Absolute {
		r.kib -= r.before.TotalKiB
	}
	switch {
	case r.kib == 0:
		return r, nil
	case r.kib > 0:
		err = r.grow(doc, o)
	default:
		err = r.shrink(doc, o)
	}
	if err != nil {
		return r, err
	}
	of := r.doc
	if r.kib < 0 {
		of = doc
	}
	if r.demand, err = l.demand(of); err != nil {
		return r, err
	}
	i := slices.IndexFunc(r.demand.Items, func(i pages.Item) bool { return i.Kind == r.kind && i.Device == r.device.Index })
	if i < 0 {
		return r, blocked("it is not on huge pages", "run vmhuge enable, and restart it")
	}
	item := r.demand.Items[i]
	if item.PageSize > 0 && r.kib%item.PageSize.KiB() != 0 {
		return r, blocked(fmt.Sprintf("%s is not a multiple of its pages of %s", pages.FormatKiB(abs(r.kib)), item.PageSize), "ask for a multiple")
	}
	r.demand.Items = []pages.Item{item}
	r.demand.Items[0].Pages = max(0, r.pages())
	return r, nil
}

// grow chooses the device that grows: a virtio-mem device with enough room, else a new DIMM.
func (r *resizing) grow(doc []byte, o ResizeOptions) error {
	if o.Device != pages.DIMM {
		var room []string
		for _, d := range r.before.Devices {
			if d.Kind != pages.VirtioMem || o.GuestNode >= 0 && d.Node != o.GuestNode {
				continue
			}
			if d.SizeKiB-d.RequestedKiB >= r.kib {
				return r.request(doc, d)
			}
			room = append(room, pages.FormatKiB(d.SizeKiB-d.RequestedKiB))
		}
		switch {
		case o.Device == pages.VirtioMem && len(room) == 0:
			return blocked("it has no virtio-mem device", "use a DIMM (--dimm), or add <memory model='virtio-mem'> to its XML")
		case o.Device == pages.VirtioMem:
			return blocked("no virtio-mem device of it has room for "+pages.FormatKiB(r.kib)+" more, only for "+strings.Join(room, ", "), "ask for less, or use a DIMM (--dimm)")
		}
	}
	m := r.before
	node := max(0, o.GuestNode)
	switch {
	case m.MaxKiB == 0:
		return blocked("its XML has no <maxMemory>, so that it can't be given more while it runs", "add <maxMemory slots='16' unit='GiB'>SIZE</maxMemory> with virsh edit, and restart it")
	case m.Nodes == 0:
		return blocked("its XML has no NUMA cell, which libvirt requires for a DIMM", "add <cpu><numa><cell …/></numa></cpu> with virsh edit, and restart it")
	case node >= m.Nodes:
		return blocked(fmt.Sprintf("the guest has no node %d; it has %d", node, m.Nodes), "name one from 0 on (--guest-node)")
	case m.UsedSlots() >= m.Slots:
		return blocked(fmt.Sprintf("all of its %d slots for memory are in use", m.Slots), "raise slots= of <maxMemory> with virsh edit, and restart it")
	case m.AllKiB+r.kib > m.MaxKiB:
		return blocked(fmt.Sprintf("its <maxMemory> of %s has room for %s more, not for %s", pages.FormatKiB(m.MaxKiB), pages.FormatKiB(max(0, m.MaxKiB-m.AllKiB)), pages.FormatKiB(r.kib)), "ask for less, or raise <maxMemory> and restart it")
	}
	r.kind, r.device = pages.DIMM, xml.MemoryDevice{Index: len(m.Devices), Kind: pages.DIMM, Node: node, SizeKiB: r.kib}
	var err error
	r.doc, r.xml, err = xml.AddDIMM(doc, r.kib, node)
	return err
}

// shrink chooses what shrinks: a virtio-mem device that has as much, else a DIMM of that size.
func (r *resizing) shrink(doc []byte, o ResizeOptions) error {
	less := -r.kib
	var dimms []string
	for _, d := range r.before.Devices {
		switch {
		case o.GuestNode >= 0 && d.Node != o.GuestNode:
		case d.Kind == pages.VirtioMem && o.Device != pages.DIMM && d.RequestedKiB >= less:
			return r.request(doc, d)
		case d.Kind == pages.DIMM:
			dimms = append(dimms, pages.FormatKiB(d.SizeKiB))
		}
	}
	for _, d := range slices.Backward(r.before.Devices) {
		if d.Kind == pages.DIMM && d.SizeKiB == less && o.Device != pages.VirtioMem && (o.GuestNode < 0 || d.Node == o.GuestNode) {
			r.kind, r.device, r.xml = pages.DIMM, d, d.XML
			var err error
			r.doc, err = xml.RemoveMemory(doc, d)
			return err
		}
	}
	if o.Device == pages.VirtioMem || len(dimms) == 0 {
		why := "it has no virtio-mem device that has plugged " + pages.FormatKiB(less) + " or more"
		if o.Device != pages.VirtioMem {
			why += ", and no DIMM"
		}
		return blocked(why, "ask for less, or change <memory> of its XML and restart it")
	}
	return blocked("a DIMM can only be removed as a whole, and it has none of "+pages.FormatKiB(less)+", but of "+strings.Join(dimms, ", "), "ask for one of these")
}

// request has a virtio-mem device plug more or less.
func (r *resizing) request(doc []byte, d xml.MemoryDevice) (err error) {
	r.kind, r.device = pages.VirtioMem, d
	if d.BlockKiB > 0 && r.kib%d.BlockKiB != 0 {
		return blocked(fmt.Sprintf("%s is not a multiple of the virtio-mem device's blocks of %s", pages.FormatKiB(abs(r.kib)), pages.FormatKiB(d.BlockKiB)), "ask for a multiple")
	}
	r.doc, r.xml, err = xml.RequestMemory(doc, d, d.RequestedKiB+r.kib)
	return err
}

func blocked(why, do string) error { return &advice.Error{Why: why, Do: do, Kind: advice.Blocked} }

// blockedBy is an error of what a domain's XML does not allow, about an object.
func blockedBy(err error, what string) error {
	told := (*advice.Error)(nil)
	if !errors.As(err, &told) {
		return advice.About(err, "%s", what)
	}
	e := *told
	if e.What != "" {
		what += ": " + e.What
	}
	e.What, e.Kind = what, advice.Blocked
	return &e
}

func abs(n int64) int64 { return max(n, -n) }
