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
	case "metadata", "memtune", "hugepages", "launchSecurity":
		return true
	case "devices":
		device, _, _ := strings.Cut(rest, "/")
		return device != "" && device != "memory"
	}
	return false
}

// Traits reads what of a domain, besides its demand, tells which pages suit it.
func Traits(doc []byte) (pages.Traits, error) {
	d, err := parseOnce(doc)
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
	t := pages.Traits{VCPUs: 1, Shared: shared(&d.domain), Locked: backing != nil && backing.MemoryLocked != nil,
		Arch: d.domain.hostArch(), Security: d.security()}
	if v := d.domain.VCPU; v != nil {
		t.VCPUs = max(1, int(v.Value))
	}
	var parts int64
	for _, b := range found {
		keepsSmall := b.own && b.page == smallPage
		if !keepsSmall {
			parts |= b.kib
		}
		if keepsSmall && b.kind != pages.VirtioMem {
			t.SmallKiB += b.kib
		}
		if b.kind == pages.Cell && d.domain.sharedByCell(b.cell) {
			t.SharedKiB += b.kib
		}
		if b.kind != pages.VirtioMem { // the guest's driver takes it later
			t.MemoryKiB += b.kib
		}
	}
	t.PartKiB = parts & -parts
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
	t.LimitKiB, t.SoftLimitKiB = d.limit("memtune/hard_limit"), d.limit("memtune/soft_limit")
	d.devices(&t)
	return t, nil
}

// limit reads an element of <memtune>; 0: none.
func (d *document) limit(path string) (limit int64) {
	for _, el := range d.root.all(path) {
		n, err := strconv.ParseUint(strings.TrimSpace(string(d.raw[el.open:el.close])), 10, 64)
		if err != nil {
			continue // libvirt refuses it when it is defined
		}
		if limit, err = kib(n, d.value(el, "unit")); err != nil {
			limit = 0 // libvirt takes what is too large for no limit
		}
	}
	return limit
}

// pinning and sharing are the devices that pin the guest's memory and that other processes
// map it for: where they stand, and which values of an attribute say so. A disk on
// vhost-vdpa does both.
//
// Source: qemuDomainGetMemLockLimitBytes() and the callers of
// qemuValidateDomainDefVhostUserRequireSharedMemory() in libvirt 11.3. For video devices
// libvirt does not ask, but their process maps the memory, too.
var (
	pinning = []kindOfDevice{
		{"devices/hostdev", "type", []string{"pci", "mdev"}},
		{"devices/interface", "type", []string{"hostdev", "vdpa"}},
		{"devices/disk", "type", []string{"nvme", "vhostvdpa"}},
		{"devices/disk/backingStore", "type", []string{"nvme", "vhostvdpa"}},
		{"devices/disk/backingStore/backingStore", "type", []string{"nvme", "vhostvdpa"}},
	}
	sharing = []kindOfDevice{
		{"devices/interface", "type", []string{"vhostuser"}},
		{"devices/disk", "type", []string{"vhostuser", "vhostvdpa"}},
		{"devices/filesystem/driver", "type", []string{"virtiofs"}},
		{"devices/video/driver", "name", []string{"vhostuser"}},
	}
)

type kindOfDevice struct {
	path, attr string
	values     []string
}

// count returns how many devices are of one of the kinds.
func (d *document) count(kinds []kindOfDevice) (n int) {
	for _, kind := range kinds {
		for _, el := range d.root.all(kind.path) {
			if slices.Contains(kind.values, d.value(el, kind.attr)) {
				n++
			}
		}
	}
	return n
}

// devices reads those that pin, share or give back the guest's memory, those in
// <qemu:commandline> too.
func (d *document) devices(t *pages.Traits) {
	t.VFIO, t.SharedBy = d.count(pinning), d.count(sharing)
	for option, value := range d.options() {
		switch driver := driver(option, value); {
		case strings.HasPrefix(driver, "vfio-"), strings.HasPrefix(driver, "vhost-vdpa"):
			t.VFIO++
		case strings.HasPrefix(driver, "vhost-user"), driver == "cryptodev-vhost-user":
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

// blob says whether a video device maps the guest's memory through a memfd, without which
// libvirt refuses it (qemuValidateDomainDeviceDefVideo()).
func (d *document) blob() bool {
	return slices.ContainsFunc(d.root.all("devices/video/model"), func(el *element) bool { return d.value(el, "blob") == "on" })
}

// value returns an attribute of an element; "": it has none.
func (d *document) value(el *element, name string) string {
	at := d.attr(el, name)
	if at == nil {
		return ""
	}
	return string(d.raw[at[2]:at[3]])
}
