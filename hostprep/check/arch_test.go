package check

import (
	"strings"
	"testing"

	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// What a host is told to do is what one of its architecture can do.
func TestCuresByArchitecture(t *testing.T) {
	for _, test := range []struct{ arch, pools, kvm, size string }{
		{"x86_64", "all 2048 0 0 0 0 0\n", "load kvm_intel or kvm_amd", "vmhuge enable --size 2M"},
		{"aarch64", "all 2048 0 0 0 0 0\nall 32768 0 0 0 0 0\n", "journalctl -k -g kvm", "vmhuge enable --size 32M"},
		{"s390x", "all 1024 0 0 0 0 0\n", "modprobe kvm;", "vmhuge enable --size 1M"},
		{"ppc64le", "all 16384 0 0 0 0 0\n", "modprobe kvm_hv", "vmhuge enable --size 16M"},
	} {
		root := hosttest.Unpack(t, "one-node", "-- dev/kvm --\n-- proc/sys/kernel/arch --\n"+test.arch+"\n")
		hosttest.UnpackPools(t, string(root), test.pools)
		h := host.Host{Root: root}
		for what, check := range map[string]Check{test.kvm: KVM, test.size: PageSize} {
			findings, err := check.Detect(h, guesttest.Guest(guesttest.OneGiB))
			if err != nil || len(findings) != 1 || !strings.HasPrefix(findings[0].Do, what) && !strings.HasSuffix(findings[0].Do, what) {
				t.Errorf("%s: %s: %+v, %v, not %q", test.arch, check.Name, findings, err, what)
			}
		}
	}
}
