package xml

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/pages"
)

func devices(inside string) string { return "<devices>" + inside + "</devices>" }

// options are arguments in <qemu:commandline>.
func options(values ...string) string {
	text := "<q:commandline xmlns:q='" + qemuNamespace + "'>"
	for _, value := range values {
		text += "<q:arg xmlns:q='" + qemuNamespace + "' value='" + value + "'/>"
	}
	return text + "</q:commandline>"
}

// Where a device needs the guest's memory shared, --thp keeps it so, and where it is not,
// a caution says so, whichever device it is. A limit as large as the memory is said to be
// too tight for each device that pins the memory.
func TestEveryDeviceThatMapsMemory(t *testing.T) {
	shares := []string{devices("<video><driver name='vhostuser'/></video>"), devices("<interface type='vhostuser'/>"), devices("<disk type='vhostuser'/>"), devices("<disk type='vhostvdpa'/>"),
		devices("<filesystem type='mount'><driver type='virtiofs'/></filesystem>"), options("-device", "vhost-user-vsock-pci,chardev=c")}
	for _, device := range shares {
		doc := guest(backed("<source type='memfd'/><access mode='shared'/>"), device)
		out, err := Rewrite(doc, Backing{THP: true})
		if err != nil || !strings.Contains(string(out), "<source type='memfd'/><access mode='shared'/>") {
			t.Errorf("%s: %v\n%s", device, err, out)
		}
		if costs := strings.Join((Want{}).thpCosts(doc, out), "\n"); !strings.Contains(costs, "stays shared") {
			t.Errorf("%s: costs %q", device, costs)
		}
		if got := CautionTexts(doc); got != nil {
			t.Errorf("%s, shared: %q", device, got)
		}
		if got := CautionTexts(guest(backed("<source type='memfd'/>"), device)); len(got) != 1 || !strings.Contains(got[0], "need all of its memory shared") {
			t.Errorf("%s, not shared: %q", device, got)
		}
	}
	limit := backed("<access mode='shared'/>") + "<memtune><hard_limit unit='MiB'>64</hard_limit></memtune>"
	for _, device := range []string{devices("<disk type='nvme'/>"), devices("<disk type='vhostvdpa'/>"), devices("<interface type='vdpa'/>"), devices("<interface type='hostdev'/>"),
		devices("<hostdev type='pci'/>"), devices("<hostdev type='mdev'/>"), devices("<disk type='file'><backingStore type='nvme'/></disk>"), options("-device", "vfio-pci,host=01:00.0")} {
		if got := CautionTexts(guest(limit, device)); len(got) != 1 || !strings.Contains(got[0], "no more than its memory") {
			t.Errorf("%s, limited: %q", device, got)
		}
	}
}

// A video device with blob='on' needs a memfd, which no rewrite takes away.
func TestBlobNeedsMemfd(t *testing.T) {
	const blob = "<devices><video><model type='virtio' blob='on'/></video></devices>"
	memfd := guest(backed("<source type='memfd'/>"), blob)
	for _, want := range []Backing{{THP: true}, {Usual: true, Source: "file"}} {
		if _, err := Rewrite(memfd, want); err == nil || !strings.Contains(err.Error(), "needs <source type='memfd'/>") {
			t.Errorf("%+v: %v", want, err)
		}
	}
	for _, doc := range [][]byte{memfd, guest(backed("<source type='file'/>"), strings.Replace(blob, "on", "off", 1))} {
		if _, err := Rewrite(doc, usually); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

func TestTraits(t *testing.T) {
	plain := pages.Traits{MemoryKiB: 65536, CurrentKiB: 65536, VCPUs: 1, PartKiB: 65536}
	with := func(change func(*pages.Traits)) pages.Traits { t := plain; change(&t); return t }
	const gib = "<memory unit='GiB'>2</memory>"
	for name, test := range map[string]struct {
		doc  []byte
		want pages.Traits
	}{
		"plain":         {guest(), plain},
		"huge pages":    {guest(backed(page2M)), plain},
		"CPUs":          {guest("<vcpu current='1'>4</vcpu>"), with(func(t *pages.Traits) { t.VCPUs = 4 })},
		"whole GiB":     {guest(gib), with(func(t *pages.Traits) { t.MemoryKiB, t.CurrentKiB, t.PartKiB = 2<<20, 2<<20, 2<<20 })},
		"cells of less": {guest(gib, numa(twoOf64)), with(func(t *pages.Traits) { t.MemoryKiB, t.CurrentKiB = 128<<10, 128<<10 })},
		"ballooned":     {guest("<currentMemory unit='MiB'>32</currentMemory>", devices("<memballoon model='virtio' freePageReporting='on'/>")), with(func(t *pages.Traits) { t.CurrentKiB, t.Balloon, t.Reporting = 32<<10, true, true })},
		"no balloon":    {guest(devices("<memballoon model='none'/>")), plain},
		"memfd":         {guest(backed("<source type='memfd'/>")), with(func(t *pages.Traits) { t.Shared = true })},
		"a shared cell": {guest(gib, numa("<cell memory='64' unit='MiB'/><cell memory='32' unit='MiB' memAccess='shared'/>")), with(func(t *pages.Traits) {
			t.MemoryKiB, t.CurrentKiB, t.PartKiB, t.Shared, t.SharedKiB = 96<<10, 96<<10, 32<<10, true, 32<<10
		})},
		"a DIMM on small pages": {guest(gib, numa("<cell memory='1' unit='GiB'/>"), devices("<memory model='dimm'><source><pagesize>4</pagesize></source><target><size unit='MiB'>64</size><node>0</node></target></memory>")),
			with(func(t *pages.Traits) {
				t.MemoryKiB, t.CurrentKiB, t.SmallKiB, t.PartKiB = 1088<<10, 1088<<10, 64<<10, 1<<20
			})},
		"locked":     {guest(backed("<locked/>")), with(func(t *pages.Traits) { t.Locked = true })},
		"limited":    {guest("<memtune><hard_limit unit='MiB'>48</hard_limit></memtune>"), with(func(t *pages.Traits) { t.LimitKiB = 48 << 10 })},
		"soft limit": {guest("<memtune><soft_limit unit='MiB'>48</soft_limit></memtune>"), with(func(t *pages.Traits) { t.SoftLimitKiB = 48 << 10 })},
		"unlimited":  {guest("<memtune><hard_limit unit='KiB'>9007199254740991</hard_limit></memtune>"), plain},
		"passthrough": {guest(devices("<hostdev mode='subsystem' type='pci'/><hostdev mode='subsystem' type='usb'/><interface type='hostdev'/><memballoon model='virtio'/>")),
			with(func(t *pages.Traits) { t.VFIO = 2 })},
		"shared by devices": {guest(devices("<filesystem type='mount'><driver type='virtiofs'/></filesystem><filesystem type='mount'><driver type='path'/></filesystem><interface type='vhostuser'/><interface type='network'/><disk type='vhostuser' device='disk'/>")),
			with(func(t *pages.Traits) { t.SharedBy = 3 })},
		"passthrough of every kind": {guest(devices("<hostdev type='mdev'/><interface type='vdpa'/><disk type='nvme'/><disk type='vhostvdpa'/><disk type='file'><backingStore type='nvme'/></disk>" +
			"<disk type='file'><backingStore type='file'><backingStore type='nvme'/></backingStore></disk>")),
			with(func(t *pages.Traits) { t.VFIO, t.SharedBy = 6, 1 })},
		"shared by video": {guest(devices("<video><driver name='vhostuser'/><model type='virtio'/></video><video><driver name='qemu'/></video>")), with(func(t *pages.Traits) { t.SharedBy = 1 })},
		"shared by QEMU's own options": {guest(options("-chardev", "socket,id=c,path=/run/vhost-user.sock", "-device", "vhost-user-fs-pci,chardev=c,tag=t", "-netdev", "type=vhost-user,id=n,chardev=c", "-device", "virtio-net-pci,netdev=vhost-user0",
			"-object", "cryptodev-vhost-user,id=o", "-device", "{&quot;driver&quot;:&quot;vhost-user-gpu&quot;}", "-vga", "-device")), with(func(t *pages.Traits) { t.SharedBy = 4 })},
		"pinned by QEMU's own options": {guest(options("--device", "driver=vfio-pci,host=01:00.0", "-netdev", "vhost-vdpa,vhostdev=/dev/vhost-vdpa-0,id=n", "-device", "e1000,id=vfio-pci")), with(func(t *pages.Traits) { t.VFIO = 2 })},
		"devices that nobody knows":    {guest(devices("<hostdev mode='new' type='newer'/><filesystem/><interface/><disk type='x'/>")), plain},
		"not what only looks so":       {guest("<metadata><devices><hostdev type='pci'/></devices></metadata>", devices("<x:hostdev xmlns:x='urn:x' type='pci'/>")), plain},
	} {
		got, err := Traits(test.doc)
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
	}
	if _, err := Traits([]byte("<domain><memory>0</memory></domain>")); err == nil {
		t.Error("no memory is taken for some")
	}
}

func FuzzTraits(f *testing.F) {
	seed := func(parts ...string) { f.Add(guest(parts...)) }
	seed("<memtune><hard_limit unit='MiB'>48</hard_limit></memtune>", devices("<hostdev type='pci'/><memballoon model='virtio'/>"))
	seed(devices("<filesystem><driver type='virtiofs'/></filesystem><disk type='vhostuser'/><interface type='vdpa'/>"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		traits, err := Traits(doc)
		if err == nil && (traits.MemoryKiB < 0 || traits.CurrentKiB > traits.MemoryKiB || traits.LimitKiB < 0 || traits.VCPUs < 1) {
			t.Errorf("%q: %+v", doc, traits)
		}
	})
}
