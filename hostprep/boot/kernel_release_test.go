package boot

import (
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// A kernel before 5.16 reads of counts by node the first number alone.
func TestCountsByNodeOfOldKernels(t *testing.T) {
	for release, want := range map[string]int64{"5.10.0-28-amd64": 1, "4.18.0-553.el8": 1, "5.16.0": 7, "6.1.0": 7, "": 7} {
		root := hosttest.Unpack(t, "two-nodes", "-- proc/cmdline --\nhugepagesz=2M hugepages=1:3,0:4\n-- proc/sys/kernel/osrelease --\n"+release+"\n")
		k, err := ReadKernel(host.Host{Root: root})
		hosttest.Must(t, err)
		if n := k.Asked().Of(pages.Size2MiB); n != want {
			t.Errorf("%q: %d, not %d", release, n, want)
		}
	}
}

// What a unified kernel image is yet to be made of is not to be added a second time.
func TestByHandInAnImage(t *testing.T) {
	root := hosttest.Unpack(t, "one-node", "-- etc/kernel/cmdline --\nro hugepagesz=1G hugepages=4\n-- efi/EFI/Linux/a.efi --\nMZ\n-- proc/cmdline --\nro\n")
	for size, want := range map[pages.Size]string{
		pages.Size1GiB: "/etc/kernel/cmdline has hugepagesz=1G hugepages=4 already, but this boot's command line does not: the kernel's image has not been rebuilt, or not booted, since",
		pages.Size2MiB: "the kernel's command line has no huge pages, and vmhuge can't change it here",
	} {
		findings, err := cmdlinePlan(host.Host{Root: root}, options{pages: []PoolPages{{size, 2, -1}}})
		if err != nil || len(findings) != 1 || findings[0].Have != want {
			t.Errorf("%s: %+v, %v", size, findings, err)
		}
	}
}
