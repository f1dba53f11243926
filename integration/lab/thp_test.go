package lab

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"vmhuge/hostprep/proof"
)

// TestTHPUnderKVM reads from KVM by which pages the processor maps a guest: the
// lab's QEMU emulates SVM, with nested page tables. Linux 6.1, which it runs,
// leaves out of smaps what NUMA balancing has unmapped; verify finds it.
func TestTHPUnderKVM(t *testing.T) {
	l := boot(t, machine{nodes: 2}) // of 4 GiB, of which the host keeps 2
	l.putVmhuge()
	l.defineBooting("tiny")
	l.Must("virsh dumpxml --inactive tiny | sed \"s/<domain type='qemu'/<domain type='kvm'/\" | virsh define /dev/stdin")
	l.Must("vmhuge enable --thp tiny")
	l.Must("echo never > /sys/kernel/mm/transparent_hugepage/enabled")

	off := l.proofOf("virsh start tiny")
	if off.THPKiB != 0 || off.KVM == nil || off.KVM.Huge != 0 || off.KVM.Small == 0 || !off.Aligned {
		t.Errorf("enabled is never: %+v, KVM %+v", off, off.KVM)
	}
	on := l.proofOf("vmhuge start tiny")
	if on.Verdict != proof.AllHuge || on.THPKiB != 96<<10 || on.KVM == nil || on.KVM.Huge == 0 || !on.Aligned {
		t.Errorf("enabled is madvise: %+v, KVM %+v", on, on.KVM)
	}
	l.Must("vmhuge undo && grep -F '[never]' /sys/kernel/mm/transparent_hugepage/enabled")
	l.Must("vmhuge enable --size 2M tiny")
	reserved := l.proofOf("vmhuge start tiny")
	if reserved.Verdict != proof.AllHuge || reserved.KVM == nil || reserved.KVM.Huge == 0 {
		t.Errorf("reserved: %+v, KVM %+v", reserved, reserved.KVM)
	}
	t.Logf("KVM has mapped: small pages %+v, transparent huge pages %+v, reserved ones %+v", off.KVM, on.KVM, reserved.KVM)

	// A guest without a debugfs to count in is verified all the same.
	l.Must("umount /sys/kernel/debug")
	if blind := l.proofOf("vmhuge start tiny"); blind.KVM != nil || !strings.HasPrefix(blind.KVMUnknown, "no debugfs is mounted") || blind.Verdict != proof.AllHuge {
		t.Errorf("without debugfs: %+v", blind)
	}
}

// proofOf starts the guest tiny by a line, verifies it when it has booted, and
// ends it.
func (l *lab) proofOf(line string) proof.Proof {
	l.t.Helper()
	const console = "/var/log/libvirt/tiny.console"
	l.Must("rm -f " + console + "; " + line)
	deadline := time.Now().Add(3 * time.Minute)
	for l.Run("grep -q 'vmhuge-demo: .' "+console).Code != 0 && time.Now().Before(deadline) {
		time.Sleep(time.Second)
	}
	out := l.Run("vmhuge verify tiny --json")
	var answer struct{ Domains []proof.Proof }
	if err := json.Unmarshal([]byte(out.Stdout), &answer); err != nil || len(answer.Domains) != 1 {
		l.t.Fatalf("verify: %v\n%+v\n%s", err, out, l.Run("cat "+console).Stdout)
	}
	l.Must("vmhuge stop --force --timeout 0s tiny")
	return answer.Domains[0]
}
