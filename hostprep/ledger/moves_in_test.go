package ledger

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// job is what libvirt notes of a guest that has process 700.
func job(async string) string {
	return fmt.Sprintf("-- run/libvirt/qemu/web1.xml --\n<domstatus state='paused' reason='migration' pid='700'>\n"+
		"  <job type='none' async='%s' phase='none' flags='0x0'/>\n  <domain type='kvm' id='1'><name>web1</name></domain>\n</domstatus>\n", async)
}

// A guest that moves in may give up pages that it has. Until it runs here they wait for it, and
// the kernel is not to free them.
func TestMovesIn(t *testing.T) {
	const grant = `{"node":0,"page_size_kib":2048,"pages":100}` // all of the pool
	all := "-- sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages --\n0\n"
	for async, want := range map[string]string{"none": web1 + ".700", "migration in": web1 + ".starting"} {
		root := fixture(t, oneNode, us(), onDisk(web1+".starting", strings.ReplaceAll(dead(grant), "90", "100")), qemu(700, web1), smapsOf(700, 100), job(async), all)
		l := open(t, root)
		l.Close()
		if got := files(t, root); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v", async, got)
		}
		if armed := nr(t, root, 0, 2048) != 100; armed != (async == "none") {
			t.Errorf("%s: %d pages stay", async, nr(t, root, 0, 2048))
		}
	}
}

// What QEMU has mapped and has not got is promised to it; to one that moves in only if the kernel
// promises as much. Of another guest the two can't be compared: they are read one after the other.
func TestNotPromised(t *testing.T) {
	const has = 30
	smaps := strings.Replace(smapsOf(700, 90), fmt.Sprintf("Private_Hugetlb: %d", 90*2048), fmt.Sprintf("Private_Hugetlb: %d", has*2048), 1)
	for _, row := range []struct {
		async              string
		reserved, unmapped int64
	}{{"migration in", 0, 60}, {"migration in", 20, 40}, {"migration in", 60, 0}, {"migration in", 80, 0}, {"none", 0, 0}} {
		root := fixture(t, oneNode, us(), onDisk(web1+".starting", dead("")), qemu(700, web1), smaps, job(row.async),
			fmt.Sprintf("-- sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages --\n%d\n", row.reserved))
		pending, err := ReadPending(root)
		want := []pool.Pending{{Take: pool.Take{Nodes: nil, Size: pages.Size2MiB, Pages: 90}, Unmapped: row.unmapped, Unfaulted: 60, For: ""}}
		if diff := cmp.Diff(want, pending); err != nil || diff != "" {
			t.Errorf("%+v: %v\n%s", row, err, diff)
		}
	}
}
