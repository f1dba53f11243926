package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"

	"vmhuge/hostprep"
)

const (
	unmapped   = "unable to map backing store for guest RAM: Cannot allocate memory"
	noOpen     = "for guest RAM: Permission denied"
	noMount    = "hugetlbfs filesystem is not mounted or disabled by administrator config"
	noSize     = "Unable to find any usable hugetlbfs mount for"
	noSpace    = "No space left on device"
	tooSmall   = "must be equal to or larger than page size"
	qemuConf   = "/etc/libvirt/qemu.conf"
	oneHook    = "/etc/libvirt/hooks/qemu"
	libvirtDir = mount2M + "/libvirt"
)

// restarted has libvirtd see what was broken before it, and at the end that it
// is not any more.
func restarted(breaks ...func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) {
		t.Cleanup(func() { restartLibvirtd(t) })
		all(breaks...)(t)
		restartLibvirtd(t)
	}
}

// stale leaves folders of a crash for the ids that the next start may get.
func stale(t *testing.T) {
	for _, id := range []string{"1", "2"} {
		dir := filepath.Join(libvirtDir, "qemu", id+"-"+domainName(t)[:20])
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(dir) })
	}
}

// hookFault writes a hook, and has libvirtd look for one.
func hookFault(text string) func(t *testing.T) {
	return func(t *testing.T) {
		file(oneHook, text, 0o755)(t)
		if err := libvirtd.libvirtd.Process.Signal(unix.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
}

func overMount(t *testing.T) {
	t.Cleanup(func() { _ = unix.Unmount(mount2M, 0) })
	if err := unix.Mount("tmpfs", mount2M, "tmpfs", 0, "mode=0755"); err != nil {
		t.Fatal(err)
	}
}

func readOnly(t *testing.T) {
	t.Cleanup(func() { _ = unix.Mount("", mount2M, "", unix.MS_REMOUNT, "") })
	if err := unix.Mount("", mount2M, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}

// otherMount mounts a second hugetlbfs that libvirtd has not seen.
func otherMount(options string) func(t *testing.T) {
	return func(t *testing.T) {
		const other = "/run/hugepages-other"
		if err := errors.Join(os.MkdirAll(other, 0o755), unix.Mount("hugetlbfs", other, "hugetlbfs", 0, options)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(unix.Unmount(other, 0), os.Remove(other)); err != nil {
				t.Error(err)
			}
		})
	}
}

var hostFaults = []fault{
	// Pools, one page above and below.
	{name: "pool-enough", verdict: hostprep.Ready},
	{name: "pool-one-short", pages: 31, verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "pool-empty", pages: -1, verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "pool-reserved", setup: reserve(1), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "overcommit-enough", pages: 31, setup: overcommit(1), verdict: hostprep.Ready},
	{name: "overcommit-one-short", pages: 30, setup: overcommit(1), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "memfd-one-short", guest: backing(pages2M + "<source type='memfd'/>"), pages: 31, verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "min-size-of-another-mount", setup: otherMount("pagesize=2M,min_size=2M"), verdict: hostprep.NoMemory, says: unmapped, cause: "min-size", mends: true},

	// Nodes.
	{name: "node-missing", guest: more("<numatune><memory mode='strict' nodeset='3'/></numatune>"), verdict: hostprep.BadDomain, says: "NUMA node 3 is unavailable", cause: "node-missing"},
	{name: "memnode-missing", guest: more(cell64 + "<numatune><memnode cellid='0' mode='strict' nodeset='5'/></numatune>"), verdict: hostprep.BadDomain, says: "NUMA node 5 is unavailable", cause: "node-missing"},
	{name: "numad-missing", guest: more("<vcpu placement='auto'>1</vcpu>"), verdict: hostprep.BadHost, says: "Failed to query numad", cause: "numad-missing"},

	// Mounts.
	{name: "mount-late", setup: mountLate, verdict: hostprep.NoMount, says: noMount, cause: "mount-late"},
	{name: "mount-missing", setup: restarted(mountAgain(mount1G, ""), mountAgain(mount2M, "")), verdict: hostprep.NoMount, says: noMount, cause: "mount-missing"},
	{name: "mount-missing-of-this-size", setup: restarted(mountAgain(mount1G, "")), guest: guest{memory: gib1, backing: pages1G}, verdict: hostprep.NoMount, says: noSize, cause: "mount-missing"},
	{name: "memfd-without-its-mount", setup: restarted(mountAgain(mount2M, "")), guest: backing(pages2M + "<source type='memfd'/>"), verdict: hostprep.Ready},
	{name: "mount-vanished", setup: mountAgain(mount2M, ""), verdict: hostprep.NoMount, says: "No such file or directory", cause: "mount-vanished", mends: true},
	{name: "mount-covered", setup: overMount, verdict: hostprep.NoMount, small: true},
	{name: "mount-read-only", setup: readOnly, verdict: hostprep.NoMount, says: "Read-only file system", cause: "mount-read-only"},
	{name: "mount-size-one-short", setup: mountAgain(mount2M, "pagesize=2M,size=62M"), verdict: hostprep.NoMount, says: unmapped, cause: "mount-full"},
	{name: "mount-size-enough", setup: mountAgain(mount2M, "pagesize=2M,size=64M"), verdict: hostprep.Ready},
	{name: "inodes-enough", setup: mountAgain(mount2M, "pagesize=2M,nr_inodes=5"), verdict: hostprep.Ready},
	{name: "inodes-none-for-the-file", setup: mountAgain(mount2M, "pagesize=2M,nr_inodes=4"), verdict: hostprep.NoMount, says: noSpace, cause: "mount-inodes"},
	{name: "inodes-none-for-the-folder", setup: mountAgain(mount2M, "pagesize=2M,nr_inodes=3"), verdict: hostprep.NoMount, says: noSpace, cause: "mount-inodes"},
	{name: "inodes-none-for-libvirt", setup: mountAgain(mount2M, "pagesize=2M,nr_inodes=2"), verdict: hostprep.NoMount, says: noSpace, cause: "mount-inodes"},
	{name: "conf-no-mounts", setup: restarted(file(qemuConf, "hugetlbfs_mount = []\n", 0o600)), verdict: hostprep.NoMount, says: noMount, cause: "mount-missing"},
	{name: "conf-second-mount-is-default", setup: restarted(file(qemuConf, "hugetlbfs_mount = [\""+mount2M+"\", \""+mount1G+"\"]\n", 0o600)), guest: backing("<hugepages/>"), verdict: hostprep.BadDomain, says: tooSmall, cause: "smaller-than-page"},
	{name: "default-size-of-the-only-mount", setup: restarted(mountAgain(mount2M, "")), guest: backing("<hugepages/>"), verdict: hostprep.BadDomain, says: tooSmall, cause: "smaller-than-page"},

	// Folders.
	{name: "folder-0700-libvirt", setup: mode(libvirtDir, 0o700), verdict: hostprep.NoAccess, says: noOpen, cause: "folder-mode", mends: true},
	{name: "folder-0700-qemu", setup: mode(libvirtDir+"/qemu", 0o700), verdict: hostprep.NoAccess, says: noOpen, cause: "folder-mode", mends: true},
	{name: "folder-0711-qemu", setup: mode(libvirtDir+"/qemu", 0o711), verdict: hostprep.Ready},
	{name: "mount-0700", setup: mountAgain(mount2M, "pagesize=2M,mode=0700"), verdict: hostprep.Ready}, // libvirt opens it
	{name: "folder-stale", setup: restarted(stale), verdict: hostprep.NoAccess, says: noOpen, cause: "folder-stale", mends: true},

	// Sizes.
	{name: "unaligned-memfd", guest: guest{memory: "<memory unit='MiB'>65</memory>", backing: pages2M + "<source type='memfd'/>"}, pages: 33, verdict: hostprep.BadDomain, says: "failed to resize memfd", cause: "unaligned"},
	{name: "unaligned-bound", guest: guest{memory: "<memory unit='MiB'>65</memory>", more: "<numatune><memory mode='strict' nodeset='0'/></numatune>"}, pages: 33, verdict: hostprep.BadDomain, says: "cannot bind memory to host NUMA nodes", cause: "unaligned"},
	{name: "unaligned-dimm", setup: func(t *testing.T) { setPages(t, 0, size1G, 2) }, guest: device(pages2M, dimmOf("<source><pagesize unit='GiB'>1</pagesize></source>", 1536)), verdict: hostprep.BadDomain, says: "backend memory size must be multiple of", cause: "unaligned"},
	{name: "virtio-mem-block", setup: func(t *testing.T) { setPages(t, 0, size1G, 1) }, guest: device(pages2M, "<memory model='virtio-mem'><source><pagesize unit='GiB'>1</pagesize></source><target><size unit='GiB'>1</size><node>0</node><block unit='MiB'>2</block><requested unit='MiB'>0</requested></target></memory>"),
		verdict: hostprep.BadDomain, says: "'block-size' property has to be at least the page size", cause: "virtio-mem-block"},
	{name: "smaller-than-page", guest: backing(pages1G), verdict: hostprep.BadDomain, says: tooSmall, cause: "smaller-than-page"},
	{name: "page-size-missing", guest: backing("<hugepages><page size='4096'/></hugepages>"), verdict: hostprep.BadHost, says: noSize, cause: "page-size-missing"},
	{name: "page-size-impossible", guest: backing("<hugepages><page size='3072'/></hugepages>"), verdict: hostprep.BadDomain, says: noSize, cause: "page-size-missing"},

	// Definitions.
	{name: "hugepages-node", undefined: true, guest: guest{backing: "<hugepages><page size='2048' nodeset='1'/></hugepages>", more: cell64}, says: "hugepages: node 1 not found", cause: "hugepages-node"},
	{name: "hugepages-two", undefined: true, guest: backing("<hugepages><page size='2048'/><page size='1048576'/></hugepages>"), says: "two master hugepages detected", cause: "hugepages-ambiguous"},
	{name: "hugepages-anonymous", undefined: true, guest: backing(pages2M + "<source type='anonymous'/>"), says: "anonymous memory source", cause: "hugepages-source"},

	// Hooks.
	{name: "hook-refuses", setup: hookFault("#!/bin/sh\necho no >&2\nexit 1\n"), blind: true, verdict: hostprep.Ready, says: "Hook script execution failed", cause: "hook-refused"},
	{name: "hook-without-interpreter", setup: hookFault("#!/nonexistent\n"), blind: true, verdict: hostprep.Ready, says: "Hook script execution failed", cause: "hook-cannot-run"},
	{name: "hook-killed", setup: hookFault("#!/bin/sh\nkill -9 $$\n"), blind: true, verdict: hostprep.Ready, says: "Hook script execution failed", cause: "hook-killed"},
}

// mountLate mounts again what libvirtd has not seen when it started.
func mountLate(t *testing.T) {
	all(mountAgain(mount1G, ""), mountAgain(mount2M, ""))(t)
	restartLibvirtd(t)
	mountHugetlbfs(t, mount2M, "pagesize=2M,mode=0755")
}

// bound is a guest of 32 pages that is bound to a node as a whole, with something
// else.
func bound(node, also string) guest {
	return more("<numatune><memory mode='strict' nodeset='" + node + "'/></numatune>" + also)
}

// boundCell is one whose one cell is, which is another condition of the kernel's.
func boundCell(node, also string) guest {
	return more(cell64 + "<numatune>" + also + "<memnode cellid='0' mode='strict' nodeset='" + node + "'/></numatune>")
}

func onNodes(free ...int) func(t *testing.T) {
	return func(t *testing.T) {
		for node, n := range free {
			setPages(t, node, size2M, n)
		}
	}
}

// limited sets a limit on the cgroup of all guests.
func limited(file string, pages int) func(t *testing.T) {
	const root, machine = "/sys/fs/cgroup", "/sys/fs/cgroup/machine"
	return func(t *testing.T) {
		if err := os.MkdirAll(machine, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+"/cgroup.subtree_control", []byte("+hugetlb"), 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.WriteFile(filepath.Join(machine, file), []byte("max"), 0) })
		if err := os.WriteFile(filepath.Join(machine, file), []byte(strconv.Itoa(pages*size2M*1024)), 0); err != nil {
			t.Fatal(err)
		}
	}
}

const badAddress = "preallocating memory failed: Bad address"

var nodeFaults = []fault{
	{name: "node-enough", pages: -1, setup: onNodes(0, 32), guest: bound("1", ""), verdict: hostprep.Ready},
	{name: "node-one-short", setup: onNodes(64, 31), guest: bound("1", ""), verdict: hostprep.NoMemory, says: unmapped, cause: "node-short", mends: true},
	{name: "memnode-enough", setup: onNodes(10, 32), guest: boundCell("1", ""), verdict: hostprep.Ready},
	{name: "memnode-one-short", setup: onNodes(64, 31), guest: boundCell("1", ""), verdict: hostprep.NoMemory, says: badAddress, cause: "node-short", mends: true},
	{name: "bindings-contradict", setup: onNodes(64, 64), guest: boundCell("1", "<memory mode='strict' nodeset='0'/>"), verdict: hostprep.BadDomain, says: "cannot bind memory to host NUMA nodes", cause: "bindings-contradict"},
	{name: "emulatorpin-elsewhere", setup: onNodes(0, 32), guest: bound("1", "<cputune><emulatorpin cpuset='0'/></cputune>"), verdict: hostprep.BadDomain, says: "Setting CPU affinity failed", cause: "emulatorpin"},
	{name: "emulatorpin-there", setup: onNodes(0, 32), guest: bound("1", "<cputune><emulatorpin cpuset='1'/></cputune>"), verdict: hostprep.Ready},
	{name: "emulatorpin-memnode", setup: onNodes(0, 32), guest: guest{backing: pages2M, more: boundCell("1", "").more + "<cputune><emulatorpin cpuset='0'/></cputune>"}, verdict: hostprep.BadDomain, says: "Setting CPU affinity failed", cause: "emulatorpin"},
	{name: "vcpu-cpuset-elsewhere", setup: onNodes(0, 32), guest: bound("1", "<vcpu cpuset='0'>1</vcpu>"), verdict: hostprep.BadDomain, says: "Setting CPU affinity failed", cause: "emulatorpin"},
	{name: "emulatorpin-of-unbound", guest: more("<cputune><emulatorpin cpuset='1'/></cputune>"), verdict: hostprep.Ready},
	{name: "node-5-missing", guest: bound("5", ""), verdict: hostprep.BadDomain, says: "NUMA node 5 is unavailable", cause: "node-missing"},
	{name: "numad-missing", guest: more("<vcpu placement='auto'>1</vcpu>"), verdict: hostprep.BadHost, says: "Failed to query numad", cause: "numad-missing"},
	{name: "cgroup-reserved-enough", setup: limited("hugetlb.2MB.rsvd.max", 32), verdict: hostprep.Ready},
	{name: "cgroup-reserved-one-short", setup: limited("hugetlb.2MB.rsvd.max", 31), verdict: hostprep.BadHost, says: unmapped, cause: "cgroup-reserved"},
	{name: "cgroup-used-enough", setup: limited("hugetlb.2MB.max", 32), verdict: hostprep.Ready},
	{name: "cgroup-used-one-short", setup: limited("hugetlb.2MB.max", 31), verdict: hostprep.BadHost, says: badAddress, cause: "cgroup-used"},
}

// TestFaultsOnNodes has what takes two nodes, or a cgroup v2 of its own.
func TestFaultsOnNodes(t *testing.T) {
	if inMicroVM(t, twoNodes) {
		runFaults(t, nodeFaults)
	}
}

func dimmOf(source string, mib int) string {
	return fmt.Sprintf("<memory model='dimm'>%s<target><size unit='MiB'>%d</size><node>0</node></target></memory>", source, mib)
}

// TestExplainHotplug attaches memory for which there are no pages.
func TestExplainHotplug(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 32)
	dom := define(t, device(pages2M, ""))
	startPaused(t, dom)
	f := fault{guest: guest{name: nameOf(t, dom)}, says: "unable to execute QEMU command 'object-add'", cause: "hotplug-short", blind: true}
	f.explained(t, dom.AttachDeviceFlags(dimmOf("", 64), libvirt.DOMAIN_DEVICE_MODIFY_LIVE), &outcomeOf{})
}

// TestExplainLocked has a <locked/> domain, which libvirtd may start or not.
func TestExplainLocked(t *testing.T) {
	f := fault{guest: backing(pages2M + "<locked/>"), verdict: hostprep.Ready}
	if status, err := os.ReadFile("/proc/self/status"); err != nil || !mayLimit(string(status)) {
		f.verdict, f.says, f.cause = hostprep.BadHost, "cannot limit locked memory", "locked-memory"
	}
	f.run(t, &outcomeOf{})
}

// mayLimit says whether CAP_SYS_RESOURCE is among the capabilities that count.
func mayLimit(status string) bool {
	_, rest, _ := strings.Cut(status, "CapEff:")
	line, _, _ := strings.Cut(rest, "\n")
	caps, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	return err == nil && caps&(1<<24) != 0
}

// TestExplainSession has an ordinary user's libvirtd, which knows no mounts.
func TestExplainSession(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 32)
	n := newNobody(t)
	path := filepath.Join(n.home, "mine.xml")
	if err := os.WriteFile(path, []byte(guest{name: "mine", backing: pages2M}.xml()), 0o644); err != nil {
		t.Fatal(err)
	}
	n.run(0, "virsh", "-c", "qemu:///session", "define", path)
	defer n.run(0, "virsh", "-c", "qemu:///session", "undefine", "mine")
	text := n.run(1, "virsh", "-c", "qemu:///session", "start", "mine")
	out := n.run(0, filepath.Join(scratch, "bin", "vmhuge"), "explain", "-c", "qemu:///session", "--", text)
	if !strings.Contains(out, "\n  session-mount: ") || strings.Contains(out, "mount-late") || !strings.Contains(out, "    now: mount: ") {
		t.Errorf("%s\nis explained as\n%s", text, out)
	}
}

func TestFaults(t *testing.T) {
	need1G(t)
	runFaults(t, hostFaults)
}
