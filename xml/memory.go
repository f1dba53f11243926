package xml

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"libvirt.org/go/libvirtxml"

	"vmhuge/internal/pages"
)

// A quantity is an amount of memory that stands in the document.
type quantity struct {
	at     string // its place: memory, currentMemory, maxMemory, cell/0, device/0
	number [2]int // from and to which offset it stands
	unit   [2]int // zero: no unit stands there
	value  *uint
	in     *string
}

func (q quantity) kib() int64 {
	n, _ := kib(uint64(*q.value), *q.in) // checked by backends
	return n
}

// quantities returns the amounts of memory that Rewrite may raise.
func (d *document) quantities() []quantity {
	dom := &d.domain
	var found []quantity
	add := func(at string, el *element, value *uint, in *string) {
		q := quantity{at, [2]int{el.open, el.close}, [2]int{}, value, in}
		if unit := d.attr(el, "unit"); unit != nil {
			q.unit = [2]int{unit[2], unit[3]}
		}
		if memory := d.attr(el, "memory"); strings.HasPrefix(at, "cell") && memory != nil {
			q.number = [2]int{memory[2], memory[3]}
		}
		found = append(found, q)
	}
	if dom.MaximumMemory != nil {
		add("maxMemory", d.root.child("maxMemory"), &dom.MaximumMemory.Value, &dom.MaximumMemory.Unit)
	}
	if dom.Memory != nil {
		add("memory", d.root.child("memory"), &dom.Memory.Value, &dom.Memory.Unit)
	}
	if dom.CurrentMemory != nil {
		add("currentMemory", d.root.child("currentMemory"), &dom.CurrentMemory.Value, &dom.CurrentMemory.Unit)
	}
	for i, el := range d.root.all("cpu/numa/cell") {
		c := &dom.Cells[i]
		add(fmt.Sprintf("cell/%d", cellID(*c, i)), el, &c.Memory, &c.Unit)
	}
	for i, el := range d.root.all("devices/memory") {
		if t := dom.Memorydevs[i].Target; t != nil && t.Size != nil {
			add(fmt.Sprintf("device/%d", i), el.child("devices/memory/target").child("devices/memory/target/size"), &t.Size.Value, &t.Size.Unit)
		}
	}
	return found
}

// round raises all memory on huge pages to whole pages. <memory> counts cells
// and devices in and grows with them, unless it did not agree before. What would
// exceed <maxMemory> raises that.
func (e *editor) round() error {
	found, err := backends(&e.domain, 0)
	if err != nil {
		return err
	}
	stated, parts := map[string]int64{}, int64(0)
	for _, q := range e.quantities() {
		stated[q.at] = q.kib()
		if strings.Contains(q.at, "/") {
			parts += q.kib()
		}
	}
	wanted, grown := map[string]int64{}, int64(0)
	for _, b := range found {
		if e.thp || b.page == 0 {
			b.page = e.domain.usual(e.have)
		}
		if b.page == smallPage || b.kind == pages.VirtioMem {
			continue
		}
		to := ceil(b.kib, b.page.KiB())
		if to == b.kib {
			continue
		}
		from := stated["memory"] - parts
		if at := b.at(); at != "memory" {
			from = stated[at]
			wanted[at] = to
		}
		grown += to - from
	}
	if grown > 0 && (len(e.domain.Cells) == 0 || stated["memory"] == parts) {
		wanted["memory"] = stated["memory"] + grown
		if stated["currentMemory"] == stated["memory"] {
			wanted["currentMemory"] = wanted["memory"]
		}
	}
	total := parts + grown
	if len(e.domain.Cells) == 0 {
		total = stated["memory"] + grown
	}
	if most, ok := stated["maxMemory"]; ok && grown > 0 && most < total {
		wanted["maxMemory"] = total
	}
	for _, q := range e.quantities() {
		if size, ok := wanted[q.at]; ok {
			e.raise(q, size)
		}
	}
	return nil
}

// raise writes an amount of KiB in the document's own unit where that can say it.
func (e *editor) raise(q quantity, size int64) {
	unit := string(e.raw[q.unit[0]:q.unit[1]])
	e.note(former{At: q.at, Text: string(e.raw[q.number[0]:q.number[1]]), Unit: unit})
	e.set(q, size)
}

// set is raise without a note of what was there.
func (e *editor) set(q quantity, size int64) {
	if by := int64(scale(*q.in)); size*pages.KiB%by == 0 {
		*q.value = uint(size * pages.KiB / by)
	} else {
		*q.value, *q.in = uint(size), "KiB"
		e.replace(q.unit[0], q.unit[1], "KiB")
	}
	e.replace(q.number[0], q.number[1], strconv.FormatUint(uint64(*q.value), 10))
}

// restoreMemory brings back the amounts that Rewrite raised.
func (e *editor) restoreMemory() {
	for _, q := range e.quantities() {
		was := e.former(q.at)
		stated := q.unit[0] < q.unit[1]
		if was == nil || was.Unit != "" && !stated {
			continue
		}
		e.replace(q.number[0], q.number[1], was.Text)
		if stated {
			e.replace(q.unit[0], q.unit[1], cmp.Or(was.Unit, "KiB"))
		}
	}
}

// attr returns where an attribute stands: from the white space before it to its
// end, and from and to its value; nil: nowhere.
func (d *document) attr(el *element, name string) []int {
	at, _ := d.attrAfter(el, name)
	return at
}

// attrAfter returns where an attribute stands, and the name of the one before it.
func (d *document) attrAfter(el *element, name string) (at []int, before string) {
	tag := string(d.raw[el.start:el.open])
	for _, m := range attribute().FindAllStringSubmatchIndex(tag, -1) {
		if tag[m[2]:m[3]] == name {
			return []int{el.start + m[0], el.start + m[1], el.start + m[4] + 1, el.start + m[5] - 1}, before
		}
		before = tag[m[2]:m[3]]
	}
	return nil, ""
}

var attribute = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')`)
})

// state returns what Rewrite has made, or the user since, of a place.
func (d *document) state(at string) string {
	b := d.domain.MemoryBacking
	switch {
	case at == "hugepages" && !hasHugepages(&d.domain):
		return "gone"
	case at == "source":
		return source(&d.domain)
	case at == "allocation" && b != nil && b.MemoryAllocation != nil:
		return strings.TrimSpace(b.MemoryAllocation.Mode + strings.TrimSuffix(fmt.Sprintf(" %d", b.MemoryAllocation.Threads), " 0"))
	}
	for i, c := range d.domain.Cells {
		if at == memAccess(c, i) {
			return c.MemAccess
		}
	}
	for _, q := range d.quantities() {
		if q.at == at {
			return strconv.FormatInt(q.kib(), 10)
		}
	}
	return ""
}

// cellID returns the id of the cell at that place.
func cellID(c libvirtxml.DomainCell, place int) int {
	if c.ID == nil {
		return place
	}
	return int(*c.ID)
}
