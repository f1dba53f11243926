package hostpage

import (
	"fmt"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// Of a text without a domain, the host tells what the kernel, a mount or /dev/kvm lacks.
func TestCauseFindings(t *testing.T) {
	const mount, size, kvm = "mount", "page-size", "kvm"
	for _, test := range []struct {
		host, edits string
		size        pages.Size
		names       []string
		want, told  string
	}{
		{"fedora", "", pages.Size1GiB, []string{mount, size}, "mount mount-missing", "[page-size mount]"},
		{"two-nodes", "", pages.Size1GiB, []string{mount, size}, "mount mount-missing", "[page-size mount]"},
		{"no-1g", "", pages.Size1GiB, []string{mount, size}, "page-size page-size-missing", "[page-size]"},
		{"arm64-64k", "", pages.Size1GiB, []string{size}, "page-size page-size-missing", "[page-size]"},
		{"arm64-64k", "", pages.Size2MiB, []string{mount, size}, "mount mount-missing", "[page-size mount]"},
		{"fedora", "", pages.Size2MiB, []string{mount, size}, "", "[page-size mount]"},
		{"fedora", "", 0, []string{mount, size}, "", "[]"}, // of which size is not told
		{"fedora", "", pages.Size2MiB, nil, "", "[]"},
		{"one-node", "", 0, []string{kvm}, "", "[kvm]"},
		{"one-node", "-- modes --\ndev/kvm 0600 0:0\n", 0, []string{kvm}, "kvm kvm-permission", "[kvm]"},
		{"one-node", "-- dev/kvm --\n", 0, []string{kvm}, "kvm kvm-missing", "[kvm]"},
		{"one-node", "-- etc/libvirt/qemu.conf --\ncgroup_device_acl = [ \"/dev/null\", \"/dev/vfio/vfio\" ]\n", 0, []string{kvm}, "kvm kvm-missing", "[kvm]"},
		{"one-node", "-- etc/libvirt/qemu.conf --\nnamespaces = []\ncgroup_device_acl = [ \"/dev/null\" ]\n", 0, []string{kvm}, "kvm kvm-permission", "[kvm]"},
		{"one-node", "-- etc/libvirt/qemu.conf --\ncgroup_device_acl = [ \"/dev/null\", \"/dev/kvm\" ]\n", 0, []string{kvm}, "", "[kvm]"},
	} {
		findings, told, err := CauseFindings(host.Host{Root: hosttest.Unpack(t, test.host, test.edits)}, test.size, test.names)
		hosttest.Must(t, err)
		var got string
		for _, f := range findings {
			got += fmt.Sprintf("%s %s", f.Check, f.Cause)
		}
		if got != test.want || fmt.Sprint(told) != test.told {
			t.Errorf("%s, %s, %s: %q by %v, not %q by %s", test.host, test.edits, test.size, got, told, test.want, test.told)
		}
	}
}
