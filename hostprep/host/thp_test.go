package host_test

import (
	"os"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

func TestTHP(t *testing.T) {
	const dir = "sys/kernel/mm/transparent_hugepage/"
	got, err := host.Host{Root: hosttest.Unpack(t, "one-node", "-- "+dir+"enabled --\nalways [madvise] never\n-- "+dir+"defrag --\nalways defer defer+madvise [madvise] never\n")}.THP()
	if err != nil || got != (host.THP{Enabled: "madvise", Defrag: "madvise"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := (host.Host{Root: hosttest.Unpack(t, "no-libvirt", "")}).THP(); err != nil || got != (host.THP{}) {
		t.Errorf("a kernel without: %+v, %v", got, err)
	}
}

// Of a kernel that does not say it, the size is that of the architecture's usual huge pages.
func TestTHPSizeUnsaid(t *testing.T) {
	for _, test := range []struct {
		host, edits string
		want        pages.Size
	}{
		{"no-libvirt", "", pages.Size2MiB},
		{"arm64-64k", "-- proc/sys/kernel/arch --\naarch64\n", pages.Size(512 * pages.MiB)},
	} {
		h := host.Host{Root: hosttest.Unpack(t, test.host, test.edits)}
		_ = os.Remove(h.Root.Path("sys/kernel/mm/transparent_hugepage/hpage_pmd_size"))
		if got, err := h.THPSize(); err != nil || got != test.want {
			t.Errorf("%s: %s, %v", test.host, got, err)
		}
	}
}
