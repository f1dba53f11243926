package check

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// A policy such as Debian's keeps guests from huge pages.
func TestSELinuxPages(t *testing.T) {
	const (
		folder  = "virtqemud_t:s0 system_u:object_r:hugetlbfs_t:s0 7 = "
		memory  = "svirt_t:s0 system_u:object_r:svirt_image_t:s0 6 = "
		emulate = "svirt_tcg_t:s0 system_u:object_r:svirt_image_t:s0 6 = "
		module  = "; install the package vmhuge-selinux, which has a policy for it"
		relabel = "SELinux denies virtqemud_t relabelfrom of a dir of type hugetlbfs_t (/dev/hugepages): libvirt could not make the guest's folder there" + module
		mapped  = " of a file of type svirt_image_t (/dev/hugepages): QEMU could not map the guest's pages"
	)
	own := func(context string) hostprep.Guest {
		return guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Context = context })
	}
	tcg := guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Type = "qemu" })
	for name, test := range map[string]struct {
		replace []string // in the policy
		edit    string
		guest   hostprep.Guest
		want    string
	}{
		"it allows them":               {nil, "", guesttest.Takes(1), ""},
		"no label for the folder":      {[]string{folder + "7", folder + "3"}, "", guesttest.Takes(1), relabel},
		"none, and the module is here": {[]string{folder + "7", folder + "3"}, "-- usr/share/selinux/packages/vmhuge.cil --\n(type x)\n", guesttest.Takes(1), strings.Replace(relabel, module, "; semodule -i /usr/share/selinux/packages/vmhuge.cil", 1)},
		"no mapping":                   {[]string{memory + "1cb", memory + "1c3"}, "", guesttest.Takes(1), "SELinux denies svirt_t map" + mapped + module},
		"a memfd has no folder":        {[]string{folder + "7", folder + "3"}, "", guesttest.Guest(guesttest.Memfd), ""},
		"a memfd is mapped":            {[]string{memory + "1cb", memory + "1c3"}, "", guesttest.Guest(guesttest.Memfd), "SELinux denies svirt_t map" + mapped + module},
		"another guest's type":         {[]string{memory + "1cb", memory + "1c3"}, "", tcg, ""},
		"what the module lacks":        {[]string{emulate + "1cb", emulate + "1c3"}, "", tcg, "SELinux denies svirt_tcg_t map" + mapped + "; update the policy (selinux-policy), or allow it with a module of your own"},
		"more than the module has":     {[]string{memory + "1cb", memory + "1c2"}, "", guesttest.Takes(1), "SELinux denies svirt_t read, map" + mapped + "; update the policy (selinux-policy), or allow it with a module of your own"},
		"the domain's own type":        {[]string{memory + "1cb", memory + "1c3"}, "", own("system_u:system_r:svirt_tcg_t:s0"), ""},
		"no label for the guest":       {[]string{memory + "1cb", memory + "1c3"}, "", own("none"), ""},
		"permissive":                   {[]string{memory + "1cb", memory + "1c3"}, "-- sys/fs/selinux/enforce --\n0\n", guesttest.Takes(1), ""},
		"off in qemu.conf":             {[]string{memory + "1cb", memory + "1c3"}, "-- etc/libvirt/qemu.conf --\nsecurity_driver = \"none\"\n", guesttest.Takes(1), ""},
		"a policy without guests":      {[]string{memory + "1cb", memory + "1c3"}, "-- etc/selinux/targeted/contexts/virtual_domain_context --\n", guesttest.Takes(1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := host.Host{Root: hosttest.Unpack(t, "fedora-selinux", strings.NewReplacer(test.replace...).Replace(hosttest.SELinux())+test.edit)}
			hosttest.Must(t, unix.Setxattr(h.Root.Path("dev/hugepages"), "security.selinux", []byte("system_u:object_r:hugetlbfs_t:s0\x00"), 0))
			findings, err := SELinux.Detect(h, test.guest)
			hosttest.Must(t, err)
			got := ""
			for _, f := range findings {
				if f.Severity != hostprep.Blocker || f.Verdict != hostprep.NoAccess || f.Cause != hostprep.SecurityModule {
					t.Errorf("%+v", f)
				}
				got += f.Have + "; " + f.Do
			}
			if got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}
