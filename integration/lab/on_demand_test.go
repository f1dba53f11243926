package lab

import (
	"fmt"
	"strings"
	"testing"

	"vmhuge/hostprep"
)

// TestPrepareOnDemand has a Debian whose kernel has CMA set an area aside for pages of 1 GiB.
// After a reboot, programs have filled it, and a guest gets its page from it by virsh with the
// hook; undone, nothing is left after the next reboot.
func TestPrepareOnDemand(t *testing.T) {
	if !strings.HasSuffix(suite(), "-backports") {
		t.Skip("the kernel of " + suite() + " has no CMA: just on-demand runs it on another")
	}
	// Of its node's three GiB, one has the kernel at random, and the last the node's own data.
	l := boot(t, machine{nodes: 2, memoryMiB: 3072})
	l.putVmhuge()
	l.putHook()
	l.define("tiny")
	l.Must(`virsh setmaxmem tiny 1G --config && virsh setmem tiny 1G --config`)
	l.Must(`virsh dumpxml --inactive tiny | sed "s|<os>|<numatune><memory mode='strict' nodeset='1'/></numatune><os>|" | virsh define /dev/stdin`)
	l.Must("vmhuge enable tiny --size 1G && update-grub")
	l.Reboot()
	l.Must("virsh version")
	before, noPages := l.Must(everything), l.Must(labPools)

	const prepare = "vmhuge prepare --persist --on-demand 1G@1 --restart-libvirt"
	dry := l.Must(prepare + " --dry-run")
	l.same("--dry-run has changed", before)
	if !strings.Contains(dry, "vmhuge.begin hugetlb_cma=1:1G vmhuge.end") {
		t.Errorf("--dry-run says\n%s", dry)
	}
	t.Log(l.Must(prepare))
	l.Must("vmhuge hook install --reload")
	if out := l.Must(prepare); !strings.Contains(out, "nothing to do") {
		t.Errorf("a second time: %s", out)
	}

	l.Reboot()
	if total := l.memory("CmaTotal"); total != 1<<20 {
		t.Errorf("after the reboot the area has %d KiB", total)
	}
	for command, want := range map[string]string{
		"vmhuge check":  "has an area of 1 GiB for pages of 1 GiB on demand",
		"vmhuge status": "area   1 GiB of CMA",
		prepare:         "nothing to do",
	} {
		if out := l.Run(command).Stdout; !strings.Contains(out, want) {
			t.Errorf("after the reboot %s says\n%s", command, out)
		}
	}
	free := l.memory("CmaFree")
	l.Must("mount -t tmpfs -o size=2400M,mpol=bind:1 fill /mnt && dd if=/dev/zero of=/mnt/file bs=1M count=2400 status=none")
	filled := l.memory("CmaFree")
	l.Must("umount /mnt && mount -t tmpfs -o size=1400M,mpol=bind:1 fill /mnt && dd if=/dev/zero of=/mnt/file bs=1M count=1400 status=none")
	partly := l.memory("CmaFree")
	t.Logf("of the area %d MiB were free, %d with 2400 MiB of files on its node, and %d with 1400", free>>10, filled>>10, partly>>10)
	if filled > free/2 {
		t.Error("ordinary programs do not use it")
	}
	if r := l.report("vmhuge check tiny"); r.Verdict == hostprep.NoMemory {
		t.Errorf("check: %+v", r)
	}
	l.Must("virsh start tiny && vmhuge verify tiny")
	const pool = "cat /sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages"
	if n := l.Must(pool); strings.TrimSpace(n) != "1" {
		t.Errorf("with the guest there are %s pages", n)
	}
	if calls := fmt.Sprint(l.calls()); calls != "[prepare held]" {
		t.Errorf("the hook's calls were %s", calls)
	}
	l.Must("virsh destroy tiny && umount /mnt")
	if now := l.Must(labPools); now != noPages {
		t.Errorf("after the guest the pools are\n%s\nand were\n%s", now, noPages)
	}
	if now := l.memory("CmaFree"); now < free*9/10 {
		t.Errorf("after the guest %d MiB of the area are free, and were %d", now>>10, free>>10)
	}

	t.Log(l.Must("vmhuge undo"))
	l.Must("vmhuge hook remove")
	l.Reboot()
	l.Must("virsh version")
	l.same("undone, after a reboot, it leaves", before)
	if line := l.Must("cat /proc/cmdline"); strings.Contains(line, "vmhuge") || l.memory("CmaTotal") != 0 {
		t.Errorf("undone, the kernel has the area: %s", line)
	}
}

// memory is an amount of /proc/meminfo, in KiB.
func (l *lab) memory(name string) (kib int64) {
	l.t.Helper()
	if _, err := fmt.Sscan(l.Must("awk '/^"+name+":/ {print $2}' /proc/meminfo"), &kib); err != nil {
		l.t.Fatalf("%s: %v", name, err)
	}
	return kib
}
