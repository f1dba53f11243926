package lab

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/hostprep/proof"
)

// everything lists what prepare may touch: all of /etc but what libvirt writes of
// its guests, GRUB's menu, mounts, accounts, settings and pools. systemd mounts a
// unit's credentials when it starts the unit, and serial-getty may be late. The size of
// /run is a share of MemTotal, which is not the same to the page after each boot.
const everything = `
find /etc /usr/local /boot/grub/grub.cfg '(' -path /etc/libvirt/qemu -o -path /etc/apparmor.d/libvirt ')' -prune -o -type f -exec sha256sum {} + -o -printf '%p %y %m %u %g %l\n' | sort
find /var/lib/vmhuge 2>&1
findmnt -rno TARGET,FSTYPE,OPTIONS | grep -Ev '^/(run/(user|credentials)|proc/sys/fs/binfmt)' | sed 's/\(size=[0-9]*k,\)\{0,1\}nr_inodes=[0-9]*/size/; /^\/run tmpfs/s/size=[0-9]*k/size/; s/fd=[0-9]*,pgrp=[0-9]*,//; s/pipe_ino=[0-9]*//' | sort
stat -c '%n %a %U:%G' /dev/hugepages*
getent passwd; getent group
sysctl -a 2>/dev/null | grep -E '^(vm|kernel\.shm)' | grep -Ev '^vm\.(stat|nr_hugepages_mempolicy|user_reserve_kbytes)'
grep . /sys/kernel/mm/transparent_hugepage/{enabled,defrag,shmem_enabled}
`

const labPools = "grep . /sys/devices/system/node/node*/hugepages/*/nr_hugepages"

// TestPrepare prepares a Debian as it comes for a guest on one node, and for pages
// of 1 GiB on the other; what that has changed is there after a reboot, with the
// guest, which starts by itself; and undone it leaves no trace after the next.
func TestPrepare(t *testing.T) {
	l := boot(t, machine{nodes: 2}) // of 4 GiB, of which the host keeps 2
	l.putVmhuge()
	l.define("tiny")
	l.Must(`virsh dumpxml --inactive tiny | sed "s|<os>|<numatune><memory mode='strict' nodeset='0'/></numatune><os>|" | virsh define /dev/stdin`)
	l.Must("vmhuge enable tiny && virsh autostart tiny")
	l.Must("update-grub")
	l.Reboot()
	l.Must("virsh version")
	before, noPages := l.Must(everything), l.Must(labPools)
	if out := l.Run("virsh start tiny"); out.Code == 0 {
		t.Errorf("with nothing prepared: %+v", out)
	}

	l.denied("tiny", 48)

	// Node 0 has the kernel itself, and of its 2 GiB no whole one free even at boot.
	prepare, gigantic := "vmhuge prepare tiny --persist --pages 1 --size 1G --node 1 --mount-group --restart-libvirt", "1"
	mounts := []string{"/dev/hugepages", "/dev/hugepages1G"}
	if suite() == "bullseye" { // whose kernel allocates pages at boot on no certain node
		if out := l.Run(prepare + " --dry-run"); !strings.Contains(out.Stdout+out.Stderr, "does not support nodes in hugepages=") {
			t.Errorf("prepare of pages of 1 GiB on a node: %+v", out)
		}
		l.same("--dry-run has changed", before)
		prepare, gigantic, mounts = "vmhuge prepare tiny --persist --mount-group --restart-libvirt", "0", mounts[:1]
	}
	out := l.Run(prepare)
	t.Logf("%s\n%s", out.Stdout, out.Stderr)
	// A page of 1 GiB is seldom to be had once the kernel runs: 4 says that it waits for the reboot.
	if out.Code != 0 && out.Code != 4 {
		t.Errorf("prepare: %+v", out)
	}
	if r := l.report("vmhuge start tiny"); r.Verdict != hostprep.Running || r.Proof == nil || r.Proof.Verdict != proof.AllHuge {
		t.Errorf("after prepare: %+v", r)
	}
	prepared := l.Must(everything)
	if out := l.Run(prepare); !strings.Contains(out.Stdout, "nothing to do") && out.Code != 4 {
		t.Errorf("a second time: %+v", out)
	}
	l.same("a second prepare has changed", prepared)

	l.Reboot()
	deadline := time.Now().Add(3 * time.Minute)
	for l.Run("virsh domstate tiny").Stdout != "running\n\n" && time.Now().Before(deadline) {
		time.Sleep(time.Second)
	}
	l.Must("vmhuge verify tiny")
	for file, want := range map[string]string{
		"/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages": gigantic,
		"/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages":    "48",
		"/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages":    "0",
	} {
		if got := strings.TrimSpace(l.Must("cat " + file)); got != want {
			t.Errorf("after the reboot %s is %q, not %q", file, got, want)
		}
	}
	// libvirt lets all search a mount that it knows. Up to Debian 13, QEMU's group is kvm.
	group := l.Must("id -gn libvirt-qemu")
	for _, point := range mounts {
		if got := strings.TrimSpace(l.Must("stat -c '%a %U:%G' " + point)); got != "1771 root:"+group && got != "1770 root:"+group {
			t.Errorf("after the reboot %s is %s", point, got)
		}
	}
	if options := l.Must("findmnt -no OPTIONS /dev/hugepages"); strings.HasPrefix(suite(), "trixie") && !strings.Contains(options, "nosuid,nodev") {
		t.Errorf("the options of the distribution's unit are lost: %s", options)
	}
	if out := l.Must(prepare); !strings.Contains(out, "nothing to do") {
		t.Errorf("after the reboot: %s", out)
	}

	t.Log(l.Must("vmhuge undo"))
	l.Must("virsh destroy tiny; vmhuge status")
	if now := l.Must(labPools); now != noPages {
		t.Errorf("undone, the pools are\n%s\nand were\n%s", now, noPages)
	}
	l.Reboot()
	l.Must("virsh version")
	l.same("undone, after a reboot, it leaves", before)
}

// same holds what prepare may touch to be as it was.
func (l *lab) same(when, before string) {
	l.t.Helper()
	if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(l.Must(everything), "\n")); diff != "" {
		l.t.Errorf("%s (-before +after):\n%s", when, diff)
	}
}

// denied has a guest that is bound to node 0 fail for what AppArmor's rules of
// Debian 12 forget, with its pages there; since Debian 13 they have it.
func (l *lab) denied(domain string, pages int) {
	l.t.Helper()
	const pool = "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"
	l.Must(fmt.Sprintf("echo %d > %s", pages, pool))
	defer l.Must("echo 0 > " + pool)
	if suite() != "bookworm" {
		if r := l.report("vmhuge check " + domain); r.Verdict != hostprep.Ready {
			l.t.Errorf("check: %+v", r)
		}
		l.Must("virsh start " + domain + " && virsh destroy " + domain)
		return
	}
	denied := func(f hostprep.Finding) bool {
		return f.Cause == hostprep.AppArmorNUMA && f.Severity == hostprep.Blocker
	}
	if r := l.reportOf(3, "vmhuge check "+domain); r.Verdict != hostprep.BadHost || !r.Fixable || !slices.ContainsFunc(r.Findings, denied) {
		l.t.Errorf("check: %+v", r)
	}
	if start := l.Run("virsh start " + domain); start.Code == 0 || !strings.Contains(start.Stderr, "The nodes select no CPUs") {
		l.t.Errorf("start: %+v", start)
	}
	if out := l.Must("vmhuge explain --domain " + domain); !strings.Contains(out, "  apparmor-numa: ") {
		l.t.Errorf("explain: %s", out)
	}
}
