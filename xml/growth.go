package xml

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vmhuge/internal/pages"
)

// Memory is what a guest has of memory, and how it may grow.
type Memory struct {
	TotalKiB int64 // without what virtio-mem has not been asked to plug
	MaxKiB   int64 // <maxMemory>; 0: none
	AllKiB   int64 // that counts against it: virtio-mem in full
	Slots    int   // of DIMMs
	Nodes    int   // of the guest
	Devices  []MemoryDevice
}

// MemoryDevice is a <memory> of <devices>.
type MemoryDevice struct {
	Index   int
	Kind    pages.Kind
	Node    int
	Slot    int // -1: none is stated
	SizeKiB int64
	// Of virtio-mem alone: what the guest is asked to plug, what it has plugged, and how much it
	// plugs at a time.
	RequestedKiB, CurrentKiB, BlockKiB int64
	XML                                string
}

// Same says that a guest has the same memory, whatever virtio-mem has plugged of what it was asked for.
func (m Memory) Same(other Memory) bool {
	return m.TotalKiB == other.TotalKiB && slices.EqualFunc(m.Devices, other.Devices, func(a, b MemoryDevice) bool {
		return a.Kind == b.Kind && a.Node == b.Node && a.Slot == b.Slot && a.SizeKiB == b.SizeKiB && a.RequestedKiB == b.RequestedKiB
	})
}

// UsedSlots counts the memory devices that take a slot.
func (m Memory) UsedSlots() (n int) {
	for _, d := range m.Devices {
		if d.Kind != pages.VirtioMem && d.Kind != "virtio-pmem" {
			n++
		}
	}
	return n
}

// ReadMemory reads the memory of a domain, one that runs or a definition.
func ReadMemory(doc []byte) (Memory, error) {
	d, err := parse(doc)
	if err != nil {
		return Memory{}, err
	}
	return d.memory()
}

func (d *document) memory() (Memory, error) {
	found, err := backends(&d.domain, 0)
	if err != nil {
		return Memory{}, err
	}
	m := Memory{Nodes: len(d.domain.Cells)}
	if most := d.domain.MaximumMemory; most != nil {
		m.Slots = int(most.Slots)
		if m.MaxKiB, err = kib(uint64(most.Value), most.Unit); err != nil {
			return m, err
		}
	}
	for _, b := range found {
		if b.kind == pages.RAM || b.kind == pages.Cell {
			m.TotalKiB += b.kib
			m.AllKiB += b.kib
		}
	}
	elements := d.root.all("devices/memory")
	for i, dev := range d.domain.Memorydevs {
		at := MemoryDevice{Index: i, Kind: pages.Kind(dev.Model), Slot: -1, XML: d.text(elements[i])}
		if at.SizeKiB, err = kib(uint64(dev.Target.Size.Value), dev.Target.Size.Unit); err != nil {
			return m, err
		}
		if dev.Target.Node != nil {
			at.Node = int(dev.Target.Node.Value)
		}
		if a := dev.Address; a != nil && a.DIMM != nil && a.DIMM.Slot != nil {
			at.Slot = int(*a.DIMM.Slot)
		}
		for _, b := range found {
			if b.kind == pages.VirtioMem && b.index == i {
				at.RequestedKiB, at.BlockKiB = b.later, b.block
			}
		}
		if at.Kind == pages.VirtioMem {
			at.CurrentKiB = d.amount(elements[i].child("devices/memory/target").child("devices/memory/target/current"))
			m.TotalKiB += at.RequestedKiB
		} else {
			m.TotalKiB += at.SizeKiB
		}
		m.AllKiB += at.SizeKiB
		m.Devices = append(m.Devices, at)
	}
	return m, nil
}

// amount reads an element such as <current unit='KiB'>1024</current>, in KiB; 0: none.
func (d *document) amount(el *element) int64 {
	if el == nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(d.raw[el.open:el.close])), 10, 64)
	unit := ""
	if at := d.attr(el, "unit"); at != nil {
		unit = string(d.raw[at[2]:at[3]])
	}
	size, kibErr := kib(n, unit)
	if err != nil || kibErr != nil {
		return 0
	}
	return size
}

// AddDIMM puts a DIMM of so many KiB into a domain, for a node of the guest, and returns the
// DIMM's own XML as well.
func AddDIMM(doc []byte, size int64, node int) (out []byte, device string, err error) {
	e, m, err := editMemory(doc)
	if err != nil {
		return nil, "", err
	}
	slot := 0
	for taken := func(d MemoryDevice) bool { return d.Slot == slot }; slices.ContainsFunc(m.Devices, taken); {
		slot++
	}
	device = fmt.Sprintf("<memory model='dimm'><target><size unit='KiB'>%d</size><node>%d</node></target><address type='dimm' slot='%d'/></memory>", size, node, slot)
	e.addToMemory(size)
	devices := e.root.child("devices")
	switch lead := "\n    "; {
	case devices == nil:
		e.replace(e.root.close, e.root.close, "<devices>"+device+"</devices>")
	case devices.open == devices.end: // <devices/>
		e.replace(devices.open-len("/>"), devices.open, ">"+device+"</devices>")
	default:
		at := e.before(devices.close)
		if e.childLead(devices) != "" {
			lead = e.childLead(devices)
		}
		e.replace(at, at, lead+device)
	}
	return e.bytes(), device, nil
}

// RemoveMemory takes a memory device out of a domain.
func RemoveMemory(doc []byte, d MemoryDevice) ([]byte, error) {
	e, _, err := editMemory(doc)
	if err != nil {
		return nil, err
	}
	el := e.root.all("devices/memory")[d.Index]
	e.replace(e.before(el.start), el.end, "")
	e.addToMemory(-d.SizeKiB)
	return e.bytes(), nil
}

// RequestMemory has a virtio-mem device of a domain plug so many KiB, and returns the device's
// own XML as well.
func RequestMemory(doc []byte, d MemoryDevice, requested int64) (out []byte, device string, err error) {
	e, _, err := editMemory(doc)
	if err != nil {
		return nil, "", err
	}
	text := fmt.Sprintf("<requested unit='KiB'>%d</requested>", requested)
	el := e.root.all("devices/memory")[d.Index]
	target := el.child("devices/memory/target")
	if r := target.child("devices/memory/target/requested"); r != nil {
		e.replace(r.start, r.end, text)
	} else {
		e.replace(target.close, target.close, text)
	}
	out = e.bytes()
	changed, err := ReadMemory(out)
	if err != nil {
		return nil, "", err
	}
	return out, changed.Devices[d.Index].XML, nil
}

func editMemory(doc []byte) (*editor, Memory, error) {
	d, err := parse(doc)
	if err != nil {
		return nil, Memory{}, err
	}
	m, err := d.memory()
	return &editor{document: d}, m, err
}

// addToMemory changes <memory>, in which libvirt counts all devices, and <currentMemory> where
// that is the same.
func (e *editor) addToMemory(change int64) {
	stated := map[string]int64{}
	for _, q := range e.quantities() {
		stated[q.at] = q.kib()
	}
	for _, q := range e.quantities() {
		if q.at == "memory" || q.at == "currentMemory" && stated["memory"] == stated["currentMemory"] {
			e.set(q, q.kib()+change)
		}
	}
}
