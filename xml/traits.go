package xml

import (
	"slices"
	"strconv"
	"strings"

	"vmhuge/internal/pages"
)

// aside tells which of the elements that matter are not decoded: <metadata>, of
// which libvirt reads nothing, and those that only Traits and Cautions look at, by
// their attributes. The devices may be of kinds that libvirtxml does not know yet.
func aside(path string) bool {
	top, rest, _ := strings.Cut(path, "/")
	switch top {
	case "metadata", "memtune", "hugepages", "launchSecurity", "commandline":
		return true
	case "devices":
		device, _, _ := strings.Cut(rest, "/")
		return device != "" && device != "memory"
	}
	return false
}

// Traits reads what of a domain, besides its demand, tells which pages suit it.
func Traits(doc []byte) (pages.Traits, error) {
	d, err := parse(doc)
	if err != nil {
		return pages.Traits{}, err
	}
	return d.traits()
}

func (d *document) traits() (pages.Traits, error) {
	found, err := backends(&d.domain, 0)
	if err != nil {
		return pages.Traits{}, err
	}
	backing := d.domain.MemoryBacking
	t := pages.Traits{VCPUs: 1, WholeGiB: true, Shared: shared(&d.domain), Locked: backing != nil && backing.MemoryLocked != nil}
	if v := d.domain.VCPU; v != nil {
		t.VCPUs = max(1, int(v.Value))
	}
	for _, b := range found {
		t.WholeGiB = t.WholeGiB && b.kib*pages.KiB%pages.GiB == 0
		if b.kind != pages.VirtioMem { // the guest's driver takes it later
			t.MemoryKiB += b.kib
		}
	}
	t.CurrentKiB = t.MemoryKiB
	if now := d.domain.CurrentMemory; now != nil {
		size, err := kib(uint64(now.Value), now.Unit)
		if err != nil {
			return pages.Traits{}, err
		}
		if size > 0 {
			t.CurrentKiB = min(size, t.MemoryKiB)
		}
	}
	for _, el := range d.root.all("memtune/hard_limit") {
		n, err := strconv.ParseUint(strings.TrimSpace(string(d.raw[el.open:el.close])), 10, 64)
		if err != nil {
			continue // libvirt refuses it when it is defined
		}
		if t.LimitKiB, err = kib(n, d.value(el, "unit")); err != nil {
			t.LimitKiB = 0 // libvirt takes what is too large for no limit
		}
	}
	d.devices(&t)
	return t, nil
}

// devices reads those that pin, share or give back the guest's memory. Which
// of them pin it: qemuDomainGetMemLockLimitBytes() of libvirt.
func (d *document) devices(t *pages.Traits) {
	is := func(el *element, kinds ...string) bool { return slices.Contains(kinds, d.value(el, "type")) }
	for _, el := range d.root.all("devices/hostdev") {
		if is(el, "pci", "mdev") {
			t.VFIO++
		}
	}
	for _, el := range d.root.all("devices/interface") {
		if is(el, "hostdev", "vdpa") {
			t.VFIO++
		} else if is(el, "vhostuser") {
			t.SharedBy++
		}
	}
	for _, el := range d.root.all("devices/disk") {
		if is(el, "vhostuser") {
			t.SharedBy++
		}
	}
	for _, el := range d.root.all("devices/filesystem/driver") {
		if is(el, "virtiofs") {
			t.SharedBy++
		}
	}
	for _, el := range d.root.all("devices/memballoon") {
		t.Balloon = d.value(el, "model") != "none"
		t.Reporting = t.Balloon && d.value(el, "freePageReporting") == "on"
	}
	t.Balloon = t.Balloon && t.VFIO == 0 // QEMU lets no balloon take pages that a device may write to
	t.Reporting = t.Reporting && t.Balloon
}

// value returns an attribute of an element; "": it has none.
func (d *document) value(el *element, name string) string {
	at := d.attr(el, name)
	if at == nil {
		return ""
	}
	return string(d.raw[at[2]:at[3]])
}
