package hostprep

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vmhuge/internal/pages"
)

// onNode is a guest that is bound to a node, of libvirt 9.0 and QEMU 7.2.
func onNode(nodes string, change func(*Guest)) Guest {
	return guest(func(g *Guest) {
		g.Libvirt, g.QEMU = 9000000, 7002022
		g.Demand.Items[0].HostNodes, g.Demand.Items[0].Mode = nodes, pages.Strict
		if change != nil {
			change(g)
		}
	})
}

func pinned(cpus string) func(*Guest) { return func(g *Guest) { g.Demand.EmulatorCPUs = cpus } }

const cpuLists = "-- sys/devices/system/node/node0/cpulist --\n0-3\n-- sys/devices/system/node/node1/cpulist --\n4-7\n"

const appArmor = "-- sys/module/apparmor/parameters/enabled --\nY\n-- etc/apparmor.d/abstractions/libvirt-qemu --\n  include if exists <local/abstractions/libvirt-qemu>\n"

const (
	lockLimits = "-- proc/500/limits --\nLimit Soft Hard Units\nMax locked memory  8388608    8388608    bytes\n"
	noCaps     = "-- proc/500/status --\nName:\tlibvirtd\nCapEff:\t00000000feffffff\n"
)

func locked(g *Guest) { g.Demand.Locked = true }

const cgroup2 = "-- proc/self/mountinfo --\n" + rootMounts +
	"44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n50 27 0:50 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"

// limitFile is a limit in bytes of a cgroup, and how much is in use.
func limitFile(dir, file, usage string, max, used string) string {
	return "-- sys/fs/cgroup/" + dir + "/hugetlb.2MB." + file + " --\n" + max + "\n-- sys/fs/cgroup/" + dir + "/hugetlb.2MB." + usage + " --\n" + used + "\n"
}

// Each check on hosts with and without what it looks for.
func TestHostChecks(t *testing.T) {
	const twoGiB, oneGiB = "2147483648", "1073741824" // 1024 and 512 pages
	for _, test := range []struct {
		name  string
		check Check
		host  string
		edit  string
		guest Guest
		want  string
		cause Cause
	}{
		{name: "nothing locked", check: lockedCheck, guest: takes(1)},
		{name: "locked, and libvirtd may", check: lockedCheck, edit: lockLimits + "-- proc/500/status --\nCapEff:\t000001ffffffffff\n", guest: guest(locked)},
		{name: "locked, without a limit", check: lockedCheck, edit: strings.Replace(lockLimits, "8388608    bytes", "unlimited  bytes", 1) + noCaps, guest: guest(locked)},
		{name: "locked, and libvirtd may not", check: lockedCheck, edit: lockLimits + noCaps, guest: guest(locked), cause: LockedMemory, want: `
 blocker bad-host: libvirtd may not lift the limit of locked memory: it lacks CAP_SYS_RESOURCE`},

		{name: "numad is not asked for", check: numadCheck, guest: takes(1)},
		{name: "numad", check: numadCheck, edit: "-- usr/bin/numad --\nELF\n", guest: guest(func(g *Guest) { g.Demand.Auto = true })},
		{name: "no numad", check: numadCheck, guest: guest(func(g *Guest) { g.Demand.Auto = true }), cause: NumadMissing, want: `
 blocker bad-host: there is no numad, which is to choose the guest's nodes`},

		{name: "not pinned", check: emulatorPinCheck, host: "two-nodes", edit: cpuLists, guest: onNode("1", nil)},
		{name: "pinned there", check: emulatorPinCheck, host: "two-nodes", edit: cpuLists, guest: onNode("1", pinned("0-4"))},
		{name: "pinned to one of several nodes", check: emulatorPinCheck, host: "two-nodes", edit: cpuLists, guest: onNode("0-1", pinned("7"))},
		{name: "pinned elsewhere", check: emulatorPinCheck, host: "two-nodes", edit: cpuLists, guest: onNode("1", pinned("0-3")), cause: EmulatorPin, want: `
 blocker bad-domain: <emulatorpin> or <vcpu cpuset> keeps QEMU to processor 0-3`},
		{name: "preferred is bound, too", check: emulatorPinCheck, host: "two-nodes", edit: cpuLists, guest: onNode("1", func(g *Guest) {
			g.Demand.EmulatorCPUs, g.Demand.Items[0].Mode = "0", pages.Preferred
		}), cause: EmulatorPin, want: `
 blocker bad-domain: <emulatorpin> or <vcpu cpuset> keeps QEMU to processor 0`},
		{name: "restrictive is not bound", check: emulatorPinCheck, host: "two-nodes", edit: cpuLists, guest: onNode("1", func(g *Guest) {
			g.Demand.EmulatorCPUs, g.Demand.Items[0].Mode = "0", pages.Restrictive
		})},
		{name: "libvirt 9.2 minds", check: emulatorPinCheck, host: "two-nodes", edit: cpuLists, guest: onNode("1", func(g *Guest) { g.Demand.EmulatorCPUs, g.Libvirt = "0", 9002000 })},
		{name: "QEMU 7.1 does not preallocate there", check: emulatorPinCheck, host: "two-nodes", edit: cpuLists, guest: onNode("1", func(g *Guest) { g.Demand.EmulatorCPUs, g.QEMU = "0", 7001000 })},
		{name: "a node that is not there", check: emulatorPinCheck, host: "two-nodes", edit: cpuLists, guest: onNode("5", pinned("0"))},
		{name: "a node without processors", check: emulatorPinCheck, host: "two-nodes", edit: "-- sys/devices/system/node/node1/cpulist --\n\n", guest: onNode("1", nil), cause: NodeWithoutCPUs, want: `
 warning unknown: node 1 has no processors, and QEMU may not preallocate there`},

		{name: "no AppArmor", check: appArmorCheck, guest: onNode("0", nil)},
		{name: "AppArmor without libvirt's rules", check: appArmorCheck, edit: "-- sys/module/apparmor/parameters/enabled --\nY\n", guest: onNode("0", nil)},
		{name: "Debian 12", check: appArmorCheck, edit: appArmor + "  @{PROC}/sys r,\n  # @{sys}/devices/system/node/*/cpumap r,\n", guest: onNode("0", nil), cause: AppArmorNUMA, want: `
 warning unknown fixable: /etc/apparmor.d/abstractions/libvirt-qemu does not let QEMU read which processors a node has [mkdir -m 0755 /etc/apparmor.d/local; mkdir -m 0755 /etc/apparmor.d/local/abstractions; printf '@{sys}/devices/system/node/*/cpumap r,\n' > /etc/apparmor.d/local/abstractions/libvirt-qemu]`},
		{name: "Debian 12 with rules of the site's own", check: appArmorCheck, edit: appArmor + "-- etc/apparmor.d/local/abstractions/libvirt-qemu --\n/srv/** r,\n", guest: onNode("0", nil), cause: AppArmorNUMA, want: `
 warning unknown fixable: /etc/apparmor.d/abstractions/libvirt-qemu does not let QEMU read which processors a node has [edit /etc/apparmor.d/local/abstractions/libvirt-qemu: +'@{sys}/devices/system/node/*/cpumap r,']`},
		{name: "rules that include no others", check: appArmorCheck, edit: "-- sys/module/apparmor/parameters/enabled --\nY\n-- etc/apparmor.d/abstractions/libvirt-qemu --\n/srv/** r,\n", guest: onNode("0", nil), cause: AppArmorNUMA, want: `
 warning unknown: /etc/apparmor.d/abstractions/libvirt-qemu does not let QEMU read which processors a node has`},
		{name: "Debian 12, as root sees it", check: appArmorCheck, edit: appArmor + "-- sys/kernel/security/apparmor/profiles --\nlibvirtd (enforce)\n-- etc/apparmor.d/local/abstractions/libvirt-qemu --\n/srv/** r,\n", guest: onNode("0", nil), cause: AppArmorNUMA, want: `
 blocker bad-host fixable: /etc/apparmor.d/abstractions/libvirt-qemu does not let QEMU read which processors a node has [edit /etc/apparmor.d/local/abstractions/libvirt-qemu: +'@{sys}/devices/system/node/*/cpumap r,']`},
		{name: "libvirtd is not confined", check: appArmorCheck, edit: appArmor + "-- sys/kernel/security/apparmor/profiles --\nlsb_release (enforce)\n", guest: onNode("0", nil)},
		{name: "guests' profiles complain", check: appArmorCheck, edit: appArmor + "-- etc/apparmor.d/libvirt/TEMPLATE.qemu --\nprofile LIBVIRT_TEMPLATE flags=(attach_disconnected, complain) {\n", guest: onNode("0", nil)},
		{name: "a guest without a label", check: appArmorCheck, edit: appArmor, guest: onNode("0", func(g *Guest) { g.Demand.Unconfined = true })},
		{name: "the rule in what the rules include", check: appArmorCheck, edit: appArmor + "  #include <abstractions/base>\n-- etc/apparmor.d/abstractions/base --\n  include if exists <abstractions/base.d>\n-- etc/apparmor.d/abstractions/base.d/site --\n  #include <abstractions/base>\n  " + cpumapRule + "\n", guest: onNode("0", nil)},
		{name: "Debian 12 with the cure", check: appArmorCheck, edit: appArmor + "  x r,\n-- etc/apparmor.d/local/abstractions/libvirt-qemu --\n" + cpumapRule + "\n", guest: onNode("0", nil)},
		{name: "Debian 13", check: appArmorCheck, edit: appArmor + "  @{sys}/devices/system/node/node[0-9]*/cpumap r,\n", guest: onNode("0", nil)},
		{name: "another rule that will do", check: appArmorCheck, edit: appArmor + "  /sys/devices/system/node/** r,\n", guest: onNode("0", nil)},
		{name: "qemu.conf without AppArmor", check: appArmorCheck, edit: appArmor + "  x r,\n-- etc/libvirt/qemu.conf --\nsecurity_driver = \"none\"\n", guest: onNode("0", nil)},
		{name: "AppArmor and no node", check: appArmorCheck, edit: appArmor + "  x r,\n", guest: takes(1)},

		{name: "two mounts in qemu.conf, and a size", check: qemuConfCheck, edit: twoMounts, guest: takes(1)},
		{name: "two mounts in qemu.conf, and no size", check: qemuConfCheck, edit: twoMounts, guest: guest(func(g *Guest) { g.Demand.DefaultSize = true }), cause: SmallerThanPage, want: `
 note : the domain names no page size, and libvirt takes that of the second hugetlbfs_mount in /etc/libvirt/qemu.conf, 1 GiB`},

		{name: "cgroup without limits", check: cgroupCheck, edit: cgroup2, guest: takes(1)},
		{name: "limit of another size", check: cgroupCheck, edit: cgroup2 + strings.ReplaceAll(limitFile("machine", "rsvd.max", "rsvd.current", "0", "0"), "2MB", "1GB"), guest: takes(1)},
		{name: "no limit", check: cgroupCheck, edit: cgroup2 + limitFile("machine", "rsvd.max", "rsvd.current", "max", oneGiB), guest: takes(1)},
		{name: "limit that leaves enough", check: cgroupCheck, edit: cgroup2 + limitFile("machine", "rsvd.max", "rsvd.current", twoGiB, oneGiB), guest: takes(512)},
		{name: "limit that leaves one too few", check: cgroupCheck, edit: cgroup2 + limitFile("machine", "rsvd.max", "rsvd.current", twoGiB, oneGiB), guest: takes(513), cause: CgroupReserved, want: `
 blocker bad-host: /sys/fs/cgroup/machine/hugetlb.2MB.rsvd.max leaves 512 pages of 2 MiB`},
		{name: "limit of what is in use", check: cgroupCheck, edit: cgroup2 + limitFile("machine", "max", "current", oneGiB, "0"), guest: takes(513), cause: CgroupUsed, want: `
 blocker bad-host: /sys/fs/cgroup/machine/hugetlb.2MB.max leaves 512 pages of 2 MiB`},
		{name: "limit below what is in use", check: cgroupCheck, edit: cgroup2 + limitFile("machine", "max", "current", oneGiB, twoGiB), guest: takes(1), cause: CgroupUsed, want: `
 blocker bad-host: /sys/fs/cgroup/machine/hugetlb.2MB.max leaves 0 pages of 2 MiB`},
		{name: "systemd's slice", check: cgroupCheck, edit: cgroup2 + systemd + limitFile("machine.slice", "rsvd.max", "rsvd.current", "0", "0") + limitFile("machine", "max", "current", "0", "0"), guest: takes(1), cause: CgroupReserved, want: `
 blocker bad-host: /sys/fs/cgroup/machine.slice/hugetlb.2MB.rsvd.max leaves 0 pages of 2 MiB`},
		{name: "a partition under systemd", check: cgroupCheck, edit: cgroup2 + systemd + limitFile("machine.slice/machine-web.slice", "rsvd.max", "rsvd.current", "0", "0"),
			guest: guest(func(g *Guest) { g.Demand.Partition = "/machine/web" }), cause: CgroupReserved, want: `
 blocker bad-host: /sys/fs/cgroup/machine.slice/machine-web.slice/hugetlb.2MB.rsvd.max leaves 0 pages of 2 MiB`},
		{name: "a partition without", check: cgroupCheck, edit: cgroup2 + limitFile("machine/web.partition", "max", "current", "0", "0"),
			guest: guest(func(g *Guest) { g.Demand.Partition = "/machine/web" }), cause: CgroupUsed, want: `
 blocker bad-host: /sys/fs/cgroup/machine/web.partition/hugetlb.2MB.max leaves 0 pages of 2 MiB`},
		{name: "cgroup v1: libvirtd's own", check: cgroupCheck, edit: strings.ReplaceAll(cgroup2, "cgroup2 cgroup2 rw", "cgroup cgroup rw,hugetlb") +
			"-- proc/500/cgroup --\n5:cpu:/a\n4:hugetlb:/box/libvirtd\n" + limitFile("box", "limit_in_bytes", "usage_in_bytes", oneGiB, "0"), guest: takes(513), cause: CgroupUsed, want: `
 blocker bad-host: /sys/fs/cgroup/box/hugetlb.2MB.limit_in_bytes leaves 512 pages of 2 MiB`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.host == "" {
				test.host = "one-node"
			}
			findings, err := test.check.Detect(Host{Root: fixture(t, test.host, test.edit)}, test.guest)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(findings); got != strings.TrimPrefix(test.want, "\n") {
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

const twoMounts = "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = [\"/dev/hugepages\", \"/dev/big\"]\n-- modes --\ndev/big/ 0755 0:0\n-- proc/self/mountinfo --\n" + rootMounts +
	"44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n45 24 0:42 / /dev/big rw - hugetlbfs none rw,pagesize=1024M\n"

func TestBadCgroupLimit(t *testing.T) {
	h := Host{Root: fixture(t, "one-node", cgroup2+limitFile("machine", "max", "current", "much", "0"))}
	if findings, err := cgroupCheck.Detect(h, takes(1)); err == nil || !strings.Contains(err.Error(), `"much" is no limit`) {
		t.Errorf("%v, %v", findings, err)
	}
}

// The rule is added to those of the site, and taken back to the byte. A guest's
// start mends it, and the hook, which runs RunMounts alone, never does.
func TestAppArmorMended(t *testing.T) {
	const local, was = "etc/apparmor.d/local/abstractions/libvirt-qemu", "# theirs\n/srv/** r,"
	h, g := Host{Root: fixture(t, "one-node", appArmor)}, onNode("0", nil)
	writeFile(t, h.Root.Path(local), was)
	if changes := Mending(RunMounts(h, g)); len(changes) > 0 {
		t.Errorf("the hook makes %v", changes)
	}
	j := Journal{Host: h}
	must(t, j.Apply(Mending(Run(h, g))))
	text, err := h.Root.Read(local)
	if err != nil || text != was+"\n"+cpumapRule+"\n" || len(Mending(Run(h, g))) > 0 {
		t.Errorf("%q, %v, then %v", text, err, Run(h, g))
	}
	_, left, err := j.Undo()
	if text, readErr := h.Root.Read(local); err != nil || readErr != nil || text != was || len(left) > 0 {
		t.Errorf("after undo %q, %v, %v, %v", text, readErr, left, err)
	}
}

// A mount that is younger than the daemon is known if libvirt says so.
func TestKnownSizes(t *testing.T) {
	h := Host{Root: fixture(t, "one-node", newMount)}
	must(t, noBase(h.Root.Path()))
	g := takes(1)
	g.KnownSizes = []pages.Size{pages.Size2MiB}
	if got := show(Run(h, g)); got != "" {
		t.Errorf("got %s", got)
	}
}

func TestDomainLog(t *testing.T) {
	h := Host{Root: fixture(t, "one-node", "-- var/log/libvirt/qemu/web1.log --\none\n")}
	dir := h.Root.Path(DomainLogDir)
	text, file, err := h.DomainLog(DomainLogDir, "web1")
	if err != nil || text != "one\n" || file != DomainLogDir+"/web1.log" {
		t.Errorf("%q, %s, %v", text, file, err)
	}
	// Of a long one, the end.
	must(t, os.WriteFile(filepath.Join(dir, "long.log"), []byte(strings.Repeat("x", logTail)+"end"), 0o600))
	if text, _, err := h.DomainLog(DomainLogDir, "long"); err != nil || len(text) != logTail || !strings.HasSuffix(text, "xend") {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	// No link is followed, and nothing but a file is opened.
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link.log")))
	must(t, os.Mkdir(filepath.Join(dir, "folder.log"), 0o755))
	must(t, os.Symlink(dir, h.Root.Path("linked")))
	for _, test := range [][2]string{
		{DomainLogDir, "link"}, {DomainLogDir, "folder"}, {"/linked", "web1"},
		{DomainLogDir, ""}, {DomainLogDir, "../web1"}, {DomainLogDir, "a\x00"},
	} {
		if text, _, err := h.DomainLog(test[0], test[1]); err == nil || text != "" {
			t.Errorf("%q: %q", test, text)
		}
	}
	if _, _, err := h.DomainLog(DomainLogDir, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}

// A start before libvirtd's, and one after it; then one that libvirt stopped
// before it had a command line.
const threeStarts = `2026-11-21 15:00:00.100+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4+deb12u2 (Debian), qemu version: 7.2.22
-object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-900-web1/master-key.aes"}' \
2026-11-21 15:10:00.000+0000: shutting down, reason=destroyed
2026-11-21 17:46:24.495+0200: starting up libvirt version: 9.0.0, package: 9.0.0-4+deb12u2 (Debian), qemu version: 7.2.22
-object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-7-web1/master-key.aes"}' \
2026-11-21T15:46:24.866227Z qemu-system-x86_64: unable to map backing store for guest RAM: Cannot allocate memory
2026-11-21 15:50:00.000+0000: starting up libvirt version: 9.0.0
`

func TestIDSince(t *testing.T) {
	for name, row := range map[string]struct {
		log, since string
		want       int
	}{
		"before":    {threeStarts, "2026-11-21T14:00:00Z", 900},
		"between":   {threeStarts, "2026-11-21T15:30:00Z", 7},
		"after":     {threeStarts, "2026-11-21T15:48:00Z", 0},
		"cut off":   {threeStarts[300:], "2026-11-21T14:00:00Z", 7},
		"same time": {threeStarts, "2026-11-21T15:46:25Z", 7},
	} {
		since, err := time.Parse(time.RFC3339, row.since)
		if err != nil {
			t.Fatal(err)
		}
		if got := idSince(row.log, since); got != row.want {
			t.Errorf("%s: %d, want %d", name, got, row.want)
		}
	}
}
