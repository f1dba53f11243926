package check

import (
	"slices"
	"strings"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/journal"
	"vmhuge/internal/pages"
)

const cpuLists = "-- sys/devices/system/node/node0/cpulist --\n0-3\n-- sys/devices/system/node/node1/cpulist --\n4-7\n"

const (
	lockLimits = "-- proc/500/limits --\nLimit Soft Hard Units\nMax locked memory  8388608    8388608    bytes\n"
	noCaps     = "-- proc/500/status --\nName:\tlibvirtd\nCapEff:\t00000000feffffff\n"
)

// Each check on hosts with and without what it looks for.
func TestHostChecks(t *testing.T) {
	const twoGiB, oneGiB = "2147483648", "1073741824" // 1024 and 512 pages
	for _, test := range []struct {
		name  string
		check Check
		host  string
		edit  string
		guest hostprep.Guest
		want  string
		cause hostprep.Cause
	}{
		{name: "nothing locked", check: Locked, guest: guesttest.Takes(1)},
		{name: "locked, and libvirtd may", check: Locked, edit: lockLimits + "-- proc/500/status --\nCapEff:\t000001ffffffffff\n", guest: guesttest.Guest(guesttest.Locked)},
		{name: "locked, without a limit", check: Locked, edit: strings.Replace(lockLimits, "8388608    bytes", "unlimited  bytes", 1) + noCaps, guest: guesttest.Guest(guesttest.Locked)},
		{name: "locked, and libvirtd may not", check: Locked, edit: lockLimits + noCaps, guest: guesttest.Guest(guesttest.Locked), cause: hostprep.LockedMemory, want: `
 blocker bad-host: libvirtd cannot raise the limit of locked memory: it lacks CAP_SYS_RESOURCE`},

		{name: "numad is not asked for", check: Numad, guest: guesttest.Takes(1)},
		{name: "numad", check: Numad, edit: "-- usr/bin/numad --\nELF\n-- modes --\nusr/bin/numad 0755 0:0\n", guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Auto = true })},
		{name: "no numad", check: Numad, guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Auto = true }), cause: hostprep.NumadMissing, want: `
 blocker bad-host: numad, which chooses the guest's nodes, is not installed`},

		{name: "not pinned", check: EmulatorPin, host: "two-nodes", edit: cpuLists, guest: guesttest.OnNode("1", nil)},
		{name: "pinned there", check: EmulatorPin, host: "two-nodes", edit: cpuLists, guest: guesttest.OnNode("1", guesttest.Pinned("0-4"))},
		{name: "pinned to one of several nodes", check: EmulatorPin, host: "two-nodes", edit: cpuLists, guest: guesttest.OnNode("0-1", guesttest.Pinned("7"))},
		{name: "pinned elsewhere", check: EmulatorPin, host: "two-nodes", edit: cpuLists, guest: guesttest.OnNode("1", guesttest.Pinned("0-3")), cause: hostprep.EmulatorPin, want: `
 blocker bad-domain: <emulatorpin> or <vcpu cpuset> restricts QEMU to CPU 0-3`},
		{name: "preferred is bound, too", check: EmulatorPin, host: "two-nodes", edit: cpuLists, guest: guesttest.OnNode("1", func(g *hostprep.Guest) {
			g.Demand.EmulatorCPUs, g.Demand.Items[0].Mode = "0", pages.Preferred
		}), cause: hostprep.EmulatorPin, want: `
 blocker bad-domain: <emulatorpin> or <vcpu cpuset> restricts QEMU to CPU 0`},
		{name: "restrictive is not bound", check: EmulatorPin, host: "two-nodes", edit: cpuLists, guest: guesttest.OnNode("1", func(g *hostprep.Guest) {
			g.Demand.EmulatorCPUs, g.Demand.Items[0].Mode = "0", pages.Restrictive
		})},
		{name: "libvirt 9.2 minds", check: EmulatorPin, host: "two-nodes", edit: cpuLists, guest: guesttest.OnNode("1", func(g *hostprep.Guest) { g.Demand.EmulatorCPUs, g.Libvirt = "0", 9002000 })},
		{name: "QEMU 7.1 does not preallocate there", check: EmulatorPin, host: "two-nodes", edit: cpuLists, guest: guesttest.OnNode("1", func(g *hostprep.Guest) { g.Demand.EmulatorCPUs, g.QEMU = "0", 7001000 })},
		{name: "a node that is not there", check: EmulatorPin, host: "two-nodes", edit: cpuLists, guest: guesttest.OnNode("5", guesttest.Pinned("0"))},
		{name: "a node without processors", check: EmulatorPin, host: "two-nodes", edit: "-- sys/devices/system/node/node1/cpulist --\n\n", guest: guesttest.OnNode("1", nil), cause: hostprep.NodeWithoutCPUs, want: `
 warning unknown: node 1 has no CPUs, and QEMU may be unable to preallocate there`},

		{name: "no AppArmor", check: AppArmor, guest: guesttest.OnNode("0", nil)},
		{name: "AppArmor without libvirt's rules", check: AppArmor, edit: "-- sys/module/apparmor/parameters/enabled --\nY\n", guest: guesttest.OnNode("0", nil)},
		{name: "Debian 12", check: AppArmor, edit: hosttest.AppArmor + "  @{PROC}/sys r,\n  # @{sys}/devices/system/node/*/cpumap r,\n", guest: guesttest.OnNode("0", nil), cause: hostprep.AppArmorNUMA, want: `
 warning unknown fixable: /etc/apparmor.d/abstractions/libvirt-qemu does not let QEMU read which processors a node has [mkdir -m 0755 /etc/apparmor.d/local; mkdir -m 0755 /etc/apparmor.d/local/abstractions; printf '@{sys}/devices/system/node/*/cpumap r,\n' > /etc/apparmor.d/local/abstractions/libvirt-qemu]`},
		{name: "Debian 12 with rules of the site's own", check: AppArmor, edit: hosttest.AppArmor + "-- etc/apparmor.d/local/abstractions/libvirt-qemu --\n/srv/** r,\n", guest: guesttest.OnNode("0", nil), cause: hostprep.AppArmorNUMA, want: `
 warning unknown fixable: /etc/apparmor.d/abstractions/libvirt-qemu does not let QEMU read which processors a node has [edit /etc/apparmor.d/local/abstractions/libvirt-qemu: +'@{sys}/devices/system/node/*/cpumap r,']`},
		{name: "rules that include no others", check: AppArmor, edit: "-- sys/module/apparmor/parameters/enabled --\nY\n-- etc/apparmor.d/abstractions/libvirt-qemu --\n/srv/** r,\n", guest: guesttest.OnNode("0", nil), cause: hostprep.AppArmorNUMA, want: `
 warning unknown: /etc/apparmor.d/abstractions/libvirt-qemu does not let QEMU read which processors a node has`},
		{name: "Debian 12, as root sees it", check: AppArmor, edit: hosttest.AppArmor + "-- sys/kernel/security/apparmor/profiles --\nlibvirtd (enforce)\n-- etc/apparmor.d/local/abstractions/libvirt-qemu --\n/srv/** r,\n", guest: guesttest.OnNode("0", nil), cause: hostprep.AppArmorNUMA, want: `
 blocker bad-host fixable: /etc/apparmor.d/abstractions/libvirt-qemu does not let QEMU read which processors a node has [edit /etc/apparmor.d/local/abstractions/libvirt-qemu: +'@{sys}/devices/system/node/*/cpumap r,']`},
		{name: "libvirtd is not confined", check: AppArmor, edit: hosttest.AppArmor + "-- sys/kernel/security/apparmor/profiles --\nlsb_release (enforce)\n", guest: guesttest.OnNode("0", nil)},
		{name: "guests' profiles complain", check: AppArmor, edit: hosttest.AppArmor + "-- etc/apparmor.d/libvirt/TEMPLATE.qemu --\nprofile LIBVIRT_TEMPLATE flags=(attach_disconnected, complain) {\n", guest: guesttest.OnNode("0", nil)},
		{name: "a guest without a label", check: AppArmor, edit: hosttest.AppArmor, guest: guesttest.OnNode("0", func(g *hostprep.Guest) { g.Demand.Unconfined = true })},
		{name: "the rule in what the rules include", check: AppArmor, edit: hosttest.AppArmor + "  #include <abstractions/base>\n-- etc/apparmor.d/abstractions/base --\n  include if exists <abstractions/base.d>\n-- etc/apparmor.d/abstractions/base.d/site --\n  #include <abstractions/base>\n  " + CPUMapRule + "\n", guest: guesttest.OnNode("0", nil)},
		{name: "Debian 12 with the cure", check: AppArmor, edit: hosttest.AppArmor + "  x r,\n-- etc/apparmor.d/local/abstractions/libvirt-qemu --\n" + CPUMapRule + "\n", guest: guesttest.OnNode("0", nil)},
		{name: "Debian 13", check: AppArmor, edit: hosttest.AppArmor + "  @{sys}/devices/system/node/node[0-9]*/cpumap r,\n", guest: guesttest.OnNode("0", nil)},
		{name: "another rule that will do", check: AppArmor, edit: hosttest.AppArmor + "  /sys/devices/system/node/** r,\n", guest: guesttest.OnNode("0", nil)},
		{name: "qemu.conf without AppArmor", check: AppArmor, edit: hosttest.AppArmor + "  x r,\n-- etc/libvirt/qemu.conf --\nsecurity_driver = \"none\"\n", guest: guesttest.OnNode("0", nil)},
		{name: "AppArmor and no node", check: AppArmor, edit: hosttest.AppArmor + "  x r,\n", guest: guesttest.Takes(1)},
		{name: "a memfd under libvirt's rules", check: AppArmor, edit: hosttest.AppArmor + libvirtsRoot, guest: guesttest.Guest(guesttest.Memfd), cause: hostprep.AppArmorMemfd, want: `
 warning unknown fixable: /etc/apparmor.d/abstractions/libvirt-qemu does not let QEMU write to a memfd on huge pages [mkdir -m 0755 /etc/apparmor.d/local; mkdir -m 0755 /etc/apparmor.d/local/abstractions; printf '/ rw,\n' > /etc/apparmor.d/local/abstractions/libvirt-qemu]`},
		{name: "a memfd, as root sees it", check: AppArmor, edit: hosttest.AppArmor + libvirtsRoot + "-- sys/kernel/security/apparmor/profiles --\nvirtqemud (enforce)\n-- etc/apparmor.d/local/abstractions/libvirt-qemu --\n/srv/** r,\n", guest: guesttest.Guest(guesttest.Memfd), cause: hostprep.AppArmorMemfd, want: `
 blocker bad-host fixable: /etc/apparmor.d/abstractions/libvirt-qemu does not let QEMU write to a memfd on huge pages [edit /etc/apparmor.d/local/abstractions/libvirt-qemu: +'/ rw,']`},
		{name: "a file needs no rule for memfds", check: AppArmor, edit: hosttest.AppArmor + libvirtsRoot, guest: guesttest.Takes(1)},
		{name: "a memfd with the cure", check: AppArmor, edit: hosttest.AppArmor + libvirtsRoot + "-- etc/apparmor.d/local/abstractions/libvirt-qemu --\n" + MemfdRule + "\n", guest: guesttest.Guest(guesttest.Memfd)},
		{name: "a memfd with a rule in the template of guests", check: AppArmor, edit: hosttest.AppArmor + libvirtsRoot + "-- etc/apparmor.d/libvirt/TEMPLATE.qemu --\nprofile LIBVIRT_TEMPLATE flags=(attach_disconnected) {\n  #include <abstractions/libvirt-qemu>\n  \"/\" rw,\n}\n", guest: guesttest.Guest(guesttest.Memfd)},

		{name: "two mounts in qemu.conf, and a size", check: QEMUConf, edit: twoMounts, guest: guesttest.Takes(1)},
		{name: "two mounts in qemu.conf, and no size", check: QEMUConf, edit: twoMounts, guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.DefaultSize = true }), cause: hostprep.SmallerThanPage, want: `
 note : the domain names no page size, so libvirt uses that of the second hugetlbfs_mount in /etc/libvirt/qemu.conf, 1 GiB`},

		{name: "cgroup without limits", check: Cgroup, edit: hosttest.Cgroup2, guest: guesttest.Takes(1)},
		{name: "limit of another size", check: Cgroup, edit: hosttest.Cgroup2 + strings.ReplaceAll(hosttest.LimitFile("machine", "rsvd.max", "rsvd.current", "0", "0"), "2MB", "1GB"), guest: guesttest.Takes(1)},
		{name: "no limit", check: Cgroup, edit: hosttest.Cgroup2 + hosttest.LimitFile("machine", "rsvd.max", "rsvd.current", "max", oneGiB), guest: guesttest.Takes(1)},
		{name: "limit that leaves enough", check: Cgroup, edit: hosttest.Cgroup2 + hosttest.LimitFile("machine", "rsvd.max", "rsvd.current", twoGiB, oneGiB), guest: guesttest.Takes(512)},
		{name: "limit that leaves one too few", check: Cgroup, edit: hosttest.Cgroup2 + hosttest.LimitFile("machine", "rsvd.max", "rsvd.current", twoGiB, oneGiB), guest: guesttest.Takes(513), cause: hostprep.CgroupReserved, want: `
 blocker bad-host: /sys/fs/cgroup/machine/hugetlb.2MB.rsvd.max leaves 512 pages of 2 MiB`},
		{name: "limit of what is in use", check: Cgroup, edit: hosttest.Cgroup2 + hosttest.LimitFile("machine", "max", "current", oneGiB, "0"), guest: guesttest.Takes(513), cause: hostprep.CgroupUsed, want: `
 blocker bad-host: /sys/fs/cgroup/machine/hugetlb.2MB.max leaves 512 pages of 2 MiB`},
		{name: "limit below what is in use", check: Cgroup, edit: hosttest.Cgroup2 + hosttest.LimitFile("machine", "max", "current", oneGiB, twoGiB), guest: guesttest.Takes(1), cause: hostprep.CgroupUsed, want: `
 blocker bad-host: /sys/fs/cgroup/machine/hugetlb.2MB.max leaves 0 pages of 2 MiB`},
		{name: "systemd's slice", check: Cgroup, edit: hosttest.Cgroup2 + systemd + hosttest.LimitFile("machine.slice", "rsvd.max", "rsvd.current", "0", "0") + hosttest.LimitFile("machine", "max", "current", "0", "0"), guest: guesttest.Takes(1), cause: hostprep.CgroupReserved, want: `
 blocker bad-host: /sys/fs/cgroup/machine.slice/hugetlb.2MB.rsvd.max leaves 0 pages of 2 MiB`},
		{name: "a partition under systemd", check: Cgroup, edit: hosttest.Cgroup2 + systemd + hosttest.LimitFile("machine.slice/machine-web.slice", "rsvd.max", "rsvd.current", "0", "0"),
			guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Partition = "/machine/web" }), cause: hostprep.CgroupReserved, want: `
 blocker bad-host: /sys/fs/cgroup/machine.slice/machine-web.slice/hugetlb.2MB.rsvd.max leaves 0 pages of 2 MiB`},
		{name: "a partition without", check: Cgroup, edit: hosttest.Cgroup2 + hosttest.LimitFile("machine/web.partition", "max", "current", "0", "0"),
			guest: guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Partition = "/machine/web" }), cause: hostprep.CgroupUsed, want: `
 blocker bad-host: /sys/fs/cgroup/machine/web.partition/hugetlb.2MB.max leaves 0 pages of 2 MiB`},
		{name: "cgroup v1: libvirtd's own", check: Cgroup, edit: strings.ReplaceAll(hosttest.Cgroup2, "cgroup2 cgroup2 rw", "cgroup cgroup rw,hugetlb") +
			"-- proc/500/cgroup --\n5:cpu:/a\n4:hugetlb:/box/libvirtd\n" + hosttest.LimitFile("box", "limit_in_bytes", "usage_in_bytes", oneGiB, "0"), guest: guesttest.Takes(513), cause: hostprep.CgroupUsed, want: `
 blocker bad-host: /sys/fs/cgroup/box/hugetlb.2MB.limit_in_bytes leaves 512 pages of 2 MiB`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.host == "" {
				test.host = "one-node"
			}
			if !slices.ContainsFunc(Checks(), func(c Check) bool { return c.Name == test.check.Name }) {
				t.Errorf("%s is not in the list of checks", test.check.Name)
			}
			findings, err := test.check.Detect(host.Host{Root: hosttest.Unpack(t, test.host, test.edit)}, test.guest)
			if err != nil {
				t.Fatal(err)
			}
			if got := guesttest.Show(findings); got != strings.TrimPrefix(test.want, "\n") {
				t.Errorf("got:\n%s\nwant:%s", got, test.want)
			}
			for _, f := range findings {
				if f.Cause != test.cause || f.Need == "" || f.Do == "" {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

const systemd = "-- modes --\nrun/systemd/system/ 0755 0:0\n-- usr/share/dbus-1/system-services/org.freedesktop.machine1.service --\n[D-BUS Service]\n"

// libvirtsRoot is the rule of libvirt's that names /.
const libvirtsRoot = "  / r, # harmless on any lsb compliant system\n"

// What lets QEMU write to a memfd, and what only seems to.
func TestAllowsMemfd(t *testing.T) {
	for rules, want := range map[string]bool{
		"/ rw,": true, `"/" rw,`: true, "  owner / rwk, # x": true, "rw /,": true, "file / rw,": true, "/{,**} rwk,": true, "/ r,\n/ w,": true, "file,": true,
		"": false, "/ r,": false, "# / rw,": false, "deny / w,\n/ r,": false, "audit deny / rw,": false, "/** rw,": false, "umount /,": false,
		"/ w,": false, "/srv/ rw,": false, "capability dac_override,": false, "mount options=rw / -> /mnt/,": false,
	} {
		if got := allowsMemfd(rules); got != want {
			t.Errorf("%q: %v", rules, got)
		}
	}
}

// Guests that lack different rules get them by one edit.
func TestAppArmorOfSeveralGuests(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", hosttest.AppArmor+libvirtsRoot)}
	findings, err := LacksOfAppArmor(h, []hostprep.Guest{guesttest.OnNode("0", nil), guesttest.Guest(guesttest.Memfd)})
	hosttest.Must(t, err)
	if len(findings) != 2 || !slices.Equal(findings[0].Changes, findings[1].Changes) {
		t.Fatalf("%+v", findings)
	}
	hosttest.Must(t, (journal.Journal{Host: h}).Apply(hostprep.Fixes(findings)))
	if text, err := h.Root.Read("etc", "apparmor.d/local/abstractions/libvirt-qemu"); err != nil || text != CPUMapRule+"\n"+MemfdRule+"\n" {
		t.Errorf("%q, %v", text, err)
	}
}

const twoMounts = "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = [\"/dev/hugepages\", \"/dev/big\"]\n-- modes --\ndev/big/ 0755 0:0\n-- proc/self/mountinfo --\n" + hosttest.RootMounts +
	"44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n45 24 0:42 / /dev/big rw - hugetlbfs none rw,pagesize=1024M\n"

func TestBadCgroupLimit(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", hosttest.Cgroup2+hosttest.LimitFile("machine", "max", "current", "much", "0"))}
	if findings, err := Cgroup.Detect(h, guesttest.Takes(1)); err == nil || !strings.Contains(err.Error(), `"much" is not a limit`) {
		t.Errorf("%v, %v", findings, err)
	}
}

// The rule is added to those of the site, and taken back to the byte. A guest's
// start mends it, and the hook, which runs RunMounts alone, never does.
func TestAppArmorMended(t *testing.T) {
	const local, was = "etc/apparmor.d/local/abstractions/libvirt-qemu", "# theirs\n/srv/** r,"
	h, g := host.Host{Root: hosttest.Unpack(t, "one-node", hosttest.AppArmor)}, guesttest.OnNode("0", nil)
	hosttest.WriteFile(t, h.Root.Path(local), was)
	if changes := hostprep.Fixes(RunMounts(h, g)); len(changes) > 0 {
		t.Errorf("the hook makes %v", changes)
	}
	j := journal.Journal{Host: h}
	hosttest.Must(t, j.Apply(hostprep.Fixes(Run(h, g))))
	text, err := h.Root.Read(local)
	if err != nil || text != was+"\n"+CPUMapRule+"\n" || len(hostprep.Fixes(Run(h, g))) > 0 {
		t.Errorf("%q, %v, then %v", text, err, Run(h, g))
	}
	_, left, err := j.Undo()
	if text, readErr := h.Root.Read(local); err != nil || readErr != nil || text != was || len(left) > 0 {
		t.Errorf("after undo %q, %v, %v, %v", text, readErr, left, err)
	}
}

// A mount that is younger than the daemon is known if libvirt says so.
func TestKnownSizes(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", hosttest.NewMount)}
	hosttest.Must(t, hosttest.NoBase(h.Root.Path()))
	g := guesttest.Takes(1)
	g.KnownSizes = []pages.Size{pages.Size2MiB}
	if got := guesttest.Show(Run(h, g)); got != "" {
		t.Errorf("got %s", got)
	}
}

// The command that is advised in place of a mount can be run as it stands.
func TestOrMemfdNamesTheGuest(t *testing.T) {
	for _, test := range []struct{ edit, want string }{
		{hosttest.NewMount + hosttest.AppArmor + libvirtsRoot, "systemctl restart libvirtd, or vmhuge enable --source memfd web1 && vmhuge start web1, which needs no mount"},
		{hosttest.NewMount + strings.Replace(hosttest.AppArmor, "include if exists <local/abstractions/libvirt-qemu>", "/dev/kvm rw,", 1) + libvirtsRoot, "systemctl restart libvirtd, or vmhuge enable --source memfd web1 with the rule / rw, in /etc/apparmor.d/abstractions/libvirt-qemu, which needs no mount"},
		{hosttest.NewMount, "systemctl restart libvirtd, or vmhuge enable --source memfd web1, which needs no mount"},
		{"-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = []\n", "add a mount of this size to hugetlbfs_mount in /etc/libvirt/qemu.conf, and restart libvirtd; or vmhuge enable --source memfd web1, which needs no mount"},
	} {
		root := hosttest.Unpack(t, "one-node", test.edit)
		hosttest.Must(t, hosttest.NoBase(root.Path()))
		findings, err := Mount.Detect(host.Host{Root: root}, guesttest.Takes(1))
		hosttest.Must(t, err)
		if len(findings) != 1 || findings[0].Do != test.want {
			t.Errorf("%v, not %s", findings, test.want)
		}
	}
}

// A folder that is named for pages that the kernel lacks can't be mounted.
func TestListedMountOfMissingSize(t *testing.T) {
	for host1G, want := range map[string]string{"one-node": "mount it, or take it out of ", "no-1g": "take it out of "} {
		h := host.Host{Root: hosttest.Unpack(t, host1G, "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = [\"/dev/hugepages\", \"/dev/hugepages1G\"]\n")}
		findings, err := Mount.Detect(h, guesttest.Takes(1))
		hosttest.Must(t, err)
		if len(findings) != 1 || !strings.HasPrefix(findings[0].Do, want) {
			t.Errorf("%s: %+v", host1G, findings)
		}
	}
}

// A group without a name takes no member: the device gets a group that has one.
func TestKVMOfNamelessGroup(t *testing.T) {
	for groups, want := range map[string]string{
		"-- etc/group --\nroot:x:0:\nkvm:x:302:libvirt-qemu\nlibvirt-qemu:x:64055:\n": "chgrp kvm /dev/kvm && chmod 0660 /dev/kvm",
		"-- etc/group --\nroot:x:0:\nlibvirt-qemu:x:64055:\n":                         "groupadd --system kvm && chgrp kvm /dev/kvm && chmod 0660 /dev/kvm && gpasswd -a libvirt-qemu kvm",
	} {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", groups+"-- etc/passwd --\nlibvirt-qemu:x:64055:64055::/:/bin/false\n")}
		findings, err := KVM.Detect(h, guesttest.Takes(1))
		if err != nil || len(findings) != 1 || findings[0].Do != want || len(findings[0].Changes) > 0 {
			t.Errorf("%+v, %v", findings, err)
		}
	}
}
