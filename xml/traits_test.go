package xml

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/pages"
)

func devices(inside string) string { return "<devices>" + inside + "</devices>" }

func TestTraits(t *testing.T) {
	plain := pages.Traits{MemoryKiB: 65536, CurrentKiB: 65536, VCPUs: 1}
	with := func(change func(*pages.Traits)) pages.Traits { t := plain; change(&t); return t }
	const gib = "<memory unit='GiB'>2</memory>"
	for name, test := range map[string]struct {
		doc  []byte
		want pages.Traits
	}{
		"plain":         {guest(), plain},
		"huge pages":    {guest(backed(page2M)), plain},
		"CPUs":          {guest("<vcpu current='1'>4</vcpu>"), with(func(t *pages.Traits) { t.VCPUs = 4 })},
		"whole GiB":     {guest(gib), with(func(t *pages.Traits) { t.MemoryKiB, t.CurrentKiB, t.WholeGiB = 2<<20, 2<<20, true })},
		"cells of less": {guest(gib, numa(twoOf64)), with(func(t *pages.Traits) { t.MemoryKiB, t.CurrentKiB = 128<<10, 128<<10 })},
		"ballooned":     {guest("<currentMemory unit='MiB'>32</currentMemory>", devices("<memballoon model='virtio' freePageReporting='on'/>")), with(func(t *pages.Traits) { t.CurrentKiB, t.Balloon, t.Reporting = 32<<10, true, true })},
		"no balloon":    {guest(devices("<memballoon model='none'/>")), plain},
		"memfd":         {guest(backed("<source type='memfd'/>")), with(func(t *pages.Traits) { t.Shared = true })},
		"locked":        {guest(backed("<locked/>")), with(func(t *pages.Traits) { t.Locked = true })},
		"limited":       {guest("<memtune><hard_limit unit='MiB'>48</hard_limit></memtune>"), with(func(t *pages.Traits) { t.LimitKiB = 48 << 10 })},
		"unlimited":     {guest("<memtune><hard_limit unit='KiB'>9007199254740991</hard_limit></memtune>"), plain},
		"passthrough": {guest(devices("<hostdev mode='subsystem' type='pci'/><hostdev mode='subsystem' type='usb'/><interface type='hostdev'/><memballoon model='virtio'/>")),
			with(func(t *pages.Traits) { t.VFIO = 2 })},
		"shared by devices": {guest(devices("<filesystem type='mount'><driver type='virtiofs'/></filesystem><filesystem type='mount'><driver type='path'/></filesystem><interface type='vhostuser'/><interface type='network'/><disk type='vhostuser' device='disk'/>")),
			with(func(t *pages.Traits) { t.SharedBy = 3 })},
		"devices that nobody knows": {guest(devices("<hostdev mode='new' type='newer'/><filesystem/><interface/><disk type='x'/>")), plain},
		"not what only looks so":    {guest("<metadata><devices><hostdev type='pci'/></devices></metadata>", devices("<x:hostdev xmlns:x='urn:x' type='pci'/>")), plain},
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
