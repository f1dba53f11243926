package prepare

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// saidOf is what a preparation of a host would do, one finding a line.
func saidOf(t *testing.T, name, edits string, p Options) string {
	t.Helper()
	would, err := Would(host.Host{Root: hosttest.Unpack(t, name, edits)}, p)
	hosttest.Must(t, err)
	var lines []string
	for _, f := range would.Findings {
		line := string(f.Severity) + ": " + f.Have + "; needed: " + f.Need
		if f.Do != "" {
			line += "; " + f.Do
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// Pages on a node without processors are for no guest that is bound there.
func TestNodeWithoutCPUs(t *testing.T) {
	const says = "warning: node 1 has no CPUs, and QEMU may be unable to preallocate there; needed: pages on nodes with CPUs, for guests; vmhuge prepare --pages 200 --size 2M --node 0"
	for _, test := range []struct {
		node int
		by   string
		says bool
	}{{1, "", true}, {0, "", false}, {1, "postgres", false}} {
		got := saidOf(t, "amd-npt", "", Options{For: test.by, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 200, Nodes: []int{test.node}}}})
		if strings.Contains(got, says) != test.says {
			t.Errorf("%+v:\n%s", test, got)
		}
	}
}

// A split is shown as the write that it is: nr_hugepages would have the kernel look for free
// memory instead.
func TestDemoteShown(t *testing.T) {
	const dir = "sys/devices/system/node/node0/hugepages/hugepages-1048576kB/"
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- pools --\nall 2048 2048 1200 0 0 0\nall 1048576 3 3 0 0 0\n0 2048 2048 1200 0\n0 1048576 3 3 0\n-- "+dir+"demote_size --\n2048kB\n")}
	would, err := Would(h, Options{Demote: &pool.Need{Size: pages.Size1GiB, Pages: 1}})
	hosttest.Must(t, err)
	if got := change.Join(would.Findings[0].Changes); got != "echo 1 > /"+dir+"demote" {
		t.Error(got)
	}
}

// What NixOS makes anew from its configuration is for that configuration to say.
func TestNixOS(t *testing.T) {
	unpack := func(edits string) host.Host {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", hosttest.Nix+"-- modes --\nrun/systemd/system/ 0755 0:0\netc/static/systemd/system/ 0755 0:0\netc/systemd/ 0755 0:0\n"+
			"-- usr/lib/systemd/system/dev-hugepages.mount --\n[Mount]\nWhere=/dev/hugepages\n-- proc/buddyinfo --\n"+hosttest.Buddyinfo+edits)}
		hosttest.Must(t, os.Symlink("/etc/static/systemd/system", h.Root.Path("etc/systemd/system")))
		hosttest.Must(t, libvirtd.Locate(h))
		return h
	}
	for name, test := range map[string]struct {
		edits string
		p     Options
		want  string
	}{
		"pages of the default size": {"", Options{Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 3000}}},
			`add boot.kernel.sysctl."vm.nr_hugepages" = 3000; to the configuration, and nixos-rebuild switch`},
		"of a node": {"", Options{Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 100, Nodes: []int{0}}}},
			`add boot.kernelParams = [ "hugepagesz=2M" "hugepages=0:100" ]; to the configuration, nixos-rebuild boot, and reboot`},
		"another mount": {"", Options{Persist: true, Pages: []pool.Need{{Size: pages.Size1GiB, Pages: 1}}},
			`add fileSystems."/dev/hugepages1G" = { device = "hugetlbfs"; fsType = "hugetlbfs"; options = [ "nosuid" "nodev" "pagesize=1G" ]; }; to the configuration, and nixos-rebuild switch`},
		"transparent huge pages": {thpOff, Options{Persist: true, Guests: []hostprep.Guest{thp1}},
			`add systemd.tmpfiles.rules = [ "w! /sys/kernel/mm/transparent_hugepage/enabled - - - - madvise" ]; to the configuration, and nixos-rebuild switch`},
		"qemu.conf": {"-- var/lib/libvirt/qemu.conf --\nhugetlbfs_mount = \"\"\n", Options{Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 10}}},
			`put hugetlbfs_mount = ["/dev/hugepages"] into virtualisation.libvirtd.qemu.verbatimConfig, as NixOS makes /var/lib/libvirt/qemu.conf from that, and nixos-rebuild switch`},
		"done already": {"-- etc/sysctl.d/60-nixos.conf --\nvm.nr_hugepages=3000\n", Options{Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 3000}}}, ""},
	} {
		would, err := Would(unpack(test.edits), test.p)
		hosttest.Must(t, err)
		said := ""
		for _, f := range would.Findings {
			said += fmt.Sprintf("%s: %s; %s\n", f.Severity, f.Have, f.Do)
			for _, c := range f.Changes {
				if c.OnDisk() {
					t.Errorf("%s: writes %s", name, c.Path)
				}
			}
		}
		if !strings.Contains(said, test.want) || (strings.Contains(said, "rebuild")) != (test.want != "") || strings.Contains(said, "cannot check") {
			t.Errorf("%s:\n%s", name, said)
		}
		if test.want != "" && !slices.ContainsFunc(would.Findings, func(f hostprep.Finding) bool {
			return f.Severity == hostprep.Blocker && !f.Fixable && strings.Contains(f.Do, test.want)
		}) {
			t.Errorf("%s: not a blocker that is left", name)
		}
	}
}

// A folder that some other tool links is refused by its name, and is a blocker.
func TestLinkedUnitFolder(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- modes --\nrun/systemd/system/ 0755 0:0\netc/static/ 0755 0:0\netc/systemd/ 0755 0:0\n")}
	hosttest.Must(t, os.Symlink("/etc/static", h.Root.Path("etc/systemd/system")))
	would, err := Would(h, Options{Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 3000}}})
	if err != nil || !slices.ContainsFunc(would.Findings, func(f hostprep.Finding) bool {
		return f.Severity == hostprep.Blocker && f.Verdict == hostprep.BadHost && strings.Contains(f.Have, "/etc/systemd/system is a symbolic link, or not a folder")
	}) {
		t.Errorf("%+v, %v", would.Findings, err)
	}
}

// A mount that the corrected qemu.conf names is the one that guests use: no second one is made.
func TestMountOfCorrectedConf(t *testing.T) {
	for _, conf := range []string{`hugetlbfs_mount = ""`, `hugetlbfs_mount = []`} {
		would, err := Would(host.Host{Root: hosttest.Unpack(t, "one-node", systemdHost+"-- etc/libvirt/qemu.conf --\n"+conf+"\n")},
			Options{Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 100}}})
		hosttest.Must(t, err)
		var all []change.Change
		for _, f := range would.Findings {
			all = append(all, f.Changes...)
		}
		if got := change.Join(all); strings.Contains(got, "mount -t hugetlbfs") || strings.Contains(got, "hugepages2M") || !strings.Contains(got, `+'hugetlbfs_mount = ["/dev/hugepages"]`) {
			t.Errorf("%s: %s", conf, got)
		}
	}
}

// A folder that qemu.conf names gets the hugetlbfs that it lacks, of the size that its name says.
func TestMountOfListedFolder(t *testing.T) {
	for conf, want := range map[string]string{
		`["/nowhere"]`:    "mkdir -m 0755 /nowhere && mount -t hugetlbfs -o pagesize=2M hugetlbfs /nowhere",
		`["/mnt/huge1G"]`: "edit /etc/libvirt/qemu.conf: -'hugetlbfs_mount = [\"/mnt/huge1G\"]' +'hugetlbfs_mount = [\"/dev/hugepages\"]'",
	} {
		would, err := Would(host.Host{Root: hosttest.Unpack(t, "one-node", systemdHost+"-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = "+conf+"\n")},
			Options{Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 2049}}})
		hosttest.Must(t, err)
		var all []change.Change
		for _, f := range would.Findings {
			all = append(all, f.Changes...)
		}
		if got := change.Join(all); !strings.HasPrefix(got, want+" && echo 2049") {
			t.Errorf("%s: %s", conf, got)
		}
	}
}

// What others reserve at boot is to be lowered where they do, and no --host-reserve helps there.
func TestOthersAtBootAreInTheWay(t *testing.T) {
	coming := systemdHost + nextDefault + "-- etc/sysctl.d/50-hp.conf --\nvm.nr_hugepages = 1024\n"
	p := Options{Persist: true, Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 1024}}}
	if got := saidOf(t, "one-node", coming, p); !strings.Contains(got, "; take that out of /etc/sysctl.d/50-hp.conf:1, or lower it there, then run this again") || strings.Contains(got, "--host-reserve") {
		t.Error(got)
	}
	p.Pages[0].Pages = 1 << 20
	if got := saidOf(t, "one-node", coming, p); !strings.Contains(got, "take that out of /etc/sysctl.d/50-hp.conf:1, or lower it there, and ask for fewer pages, or let the host keep less (--host-reserve)") {
		t.Error(got)
	}
	p.Pages[0] = pool.Need{Size: pages.Size1GiB, Pages: 4}
	if got := saidOf(t, "one-node", coming, p); !strings.Contains(got, "lower it in /etc/sysctl.d/50-hp.conf:1, then run this again") {
		t.Error(got)
	}
}

// A hugetlbfs that fstab has and that is not mounted is mounted, before another is made.
func TestMountOfFstab(t *testing.T) {
	const fstab = "-- etc/fstab --\n/dev/vda / ext4 defaults 0 1\nnodev /mnt/huge1G hugetlbfs pagesize=1G,mode=0755 0 0\n"
	for name, edits := range map[string]string{"with systemd": systemdHost + fstab, "without": fstab + "-- proc/buddyinfo --\n" + hosttest.Buddyinfo} {
		for _, persist := range []bool{true, false} {
			would, err := Would(host.Host{Root: hosttest.Unpack(t, "one-node", edits)}, Options{Persist: persist, Pages: []pool.Need{{Size: pages.Size1GiB, Pages: 1}}})
			hosttest.Must(t, err)
			var all []change.Change
			for _, f := range would.Findings {
				all = append(all, f.Changes...)
			}
			got := change.Join(all)
			if !strings.HasPrefix(got, "mkdir -m 0755 /mnt/huge1G && mount -t hugetlbfs -o pagesize=1024M hugetlbfs /mnt/huge1G") || strings.Contains(got, "hugepages1G") || strings.Contains(got, ".mount ") || strings.Contains(got, "fstab") {
				t.Errorf("%s, %t: %s", name, persist, got)
			}
		}
	}
}
