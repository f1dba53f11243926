package host_test

import (
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
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
