package arm64

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/internal/pages"
)

// kernel is what a kernel has of huge pages.
type kernel struct {
	plain, usual pages.Size
	others       []pages.Size // that a guest is to have, too
	sizes        string       // all, as vmhuge lists them
	lacks        pages.Size   // that kernels with other plain pages have
}

const kib, mib = pages.Size(pages.KiB), pages.Size(pages.MiB)

func TestPagesOf16K(t *testing.T) {
	aGuestsLife(t, kernel{plain: 16 * kib, usual: 32 * mib, others: []pages.Size{2 * mib}, sizes: "2 MiB, 32 MiB, 1 GiB", lacks: 64 * kib})
}

func TestPagesOf4K(t *testing.T) {
	aGuestsLife(t, kernel{plain: 4 * kib, usual: 2 * mib, others: []pages.Size{64 * kib, 32 * mib}, sizes: "64 KiB, 2 MiB, 32 MiB, 1 GiB", lacks: 512 * mib})
}

const guestMiB = 256

// domain is a guest that waits for interrupts for ever. Without UEFI there is no ACPI on arm64.
const domain = `<domain type='qemu'>
  <name>guest</name>
  <memory unit='MiB'>256</memory>
  <os><type arch='aarch64' machine='virt'>hvm</type><kernel>/var/lib/libvirt/wait</kernel></os>
  <cpu mode='custom'><model>cortex-a57</model></cpu>
  <devices><controller type='usb' model='none'/><memballoon model='none'/></devices>
</domain>
`

// wait is what that guest runs: wfi, and a branch back to it.
func wait() []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 0xd503207f), 0x17ffffff)
}

func aGuestsLife(t *testing.T, k kernel) {
	if !inMachine(t, strings.ToLower(pages.SizeWord(k.plain))) {
		return
	}
	if err := errors.Join(os.WriteFile("/var/lib/libvirt/wait", wait(), 0o644), os.WriteFile("/run/guest.xml", []byte(domain), 0o644)); err != nil {
		t.Fatal(err)
	}
	pool, need := poolOf(k.usual)
	run(t, 0, "virsh", "define", "/run/guest.xml")
	before := run(t, 0, "virsh", "dumpxml", "--inactive", "guest")

	says(t, run(t, 0, "vmhuge", "check", "-v"), "page sizes "+k.sizes+"; the default is "+k.usual.String(), "journalctl -k -g kvm")
	advice := run(t, 0, "vmhuge", "advise", "guest")
	says(t, advice, fmt.Sprintf("%d free pages of %s", need, k.usual))
	if k.usual != 2*mib && strings.Contains(strings.ReplaceAll(advice, "2MiB", "2 MiB"), " 2 MiB") {
		t.Errorf("advise speaks of pages of 2 MiB where the usual ones are of %s", k.usual)
	}

	says(t, run(t, 1, "vmhuge", "enable", "guest", "--size", pages.SizeWord(k.lacks)), "only of "+k.sizes)
	run(t, 0, "vmhuge", "enable", "guest")
	says(t, run(t, 0, "virsh", "dumpxml", "--inactive", "guest"), fmt.Sprintf("<page size='%d' unit='KiB'/>", k.usual.KiB()))
	says(t, run(t, 4, "vmhuge", "check", "guest"), fmt.Sprintf("needed: %d pages of %s; vmhuge start allocates them", need, k.usual))

	run(t, 0, "vmhuge", "start", "guest")
	pool.has(t, need, 0)
	verified(t, k.usual)
	says(t, run(t, 0, "vmhuge", "status"), fmt.Sprintf("running %d MiB %s", guestMiB, k.usual))
	run(t, 0, "vmhuge", "stop", "guest", "--force", "--timeout", "0s")
	pool.has(t, 0, 0)

	run(t, 0, "vmhuge", "prepare", "guest")
	pool.has(t, need, need)
	run(t, 0, "virsh", "start", "guest")
	pool.has(t, need, 0)
	verified(t, k.usual)
	run(t, 0, "virsh", "destroy", "guest")
	run(t, 0, "vmhuge", "undo")
	pool.has(t, 0, 0)

	run(t, 0, "vmhuge", "hook", "install", "--reload")
	until(t, "libvirtd calls the hook", func() bool { return exec.Command("virsh", "start", "guest").Run() == nil })
	pool.has(t, need, 0)
	verified(t, k.usual)
	run(t, 0, "virsh", "destroy", "guest")
	until(t, "the hook frees the pages", func() bool { return pool.read(t) == [2]int{} })
	run(t, 0, "vmhuge", "hook", "remove")

	run(t, 0, "vmhuge", "disable", "guest")
	if after := run(t, 0, "virsh", "dumpxml", "--inactive", "guest"); after != before {
		t.Errorf("disable leaves\n%s\nof\n%s", after, before)
	}
	for _, size := range k.others {
		pool, need := poolOf(size)
		run(t, 0, "vmhuge", "enable", "guest", "--size", pages.SizeWord(size), "--source", "memfd")
		run(t, 0, "vmhuge", "start", "guest")
		pool.has(t, need, 0)
		verified(t, size)
		run(t, 0, "vmhuge", "stop", "guest", "--force", "--timeout", "0s")
		pool.has(t, 0, 0)
		run(t, 0, "vmhuge", "disable", "guest")
	}
	withoutLibvirt(t, pool, need)
}

// verified wants all of the guest's RAM on pages of that size.
func verified(t *testing.T, size pages.Size) {
	t.Helper()
	says(t, run(t, 0, "vmhuge", "verify", "guest"), fmt.Sprintf("all %d MiB", guestMiB), fmt.Sprintf("%d MiB on hugetlb pages of %d KiB", guestMiB, size.KiB()))
}

// withoutLibvirt starts QEMU itself.
func withoutLibvirt(t *testing.T, pool pool, need int) {
	cmd := exec.Command("vmhuge", "exec", "--", "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57", "-m", fmt.Sprintf("%dM", guestMiB),
		"-nodefaults", "-display", "none", "-kernel", "/var/lib/libvirt/wait")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "QEMU has its pages", func() bool { return pool.read(t) == [2]int{need, 0} })
	says(t, run(t, 0, "vmhuge", "status"), fmt.Sprintf("%d 0 %d", need, need))
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	pool.has(t, 0, 0)
}

// run runs a command that is to end with that code, and shows what it says.
func run(t *testing.T, code int, name string, args ...string) string {
	t.Helper()
	begin := time.Now()
	cmd := exec.Command(name, args...)
	out, err := cmd.CombinedOutput()
	t.Logf("%s %s: %.1f s\n%s", name, strings.Join(args, " "), time.Since(begin).Seconds(), out)
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		t.Errorf("%s %q: %v, and the code should have been %d", name, args, err, code)
	}
	return string(out)
}

// says wants these words, wherever lines end and columns begin.
func says(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), w) {
			t.Errorf("it does not say %q", w)
		}
	}
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			t.Fatalf("waited two minutes: %s", what)
		}
	}
}

// pool is the folder of one in /sys. No other pool may ever have pages.
type pool string

// poolOf returns that of a size, and how many of its pages the guest takes.
func poolOf(size pages.Size) (p pool, need int) {
	return pool(fmt.Sprintf("/sys/kernel/mm/hugepages/hugepages-%dkB", size.KiB())), int(guestMiB * mib / size)
}

// read returns how many pages it has, and how many of these are free.
func (p pool) read(t *testing.T) (n [2]int) {
	t.Helper()
	all, err := filepath.Glob("/sys/kernel/mm/hugepages/*")
	if err != nil || len(all) == 0 {
		t.Fatal(err, all)
	}
	for _, dir := range all {
		for i, file := range []string{"nr_hugepages", "free_hugepages"} {
			text, err := os.ReadFile(filepath.Join(dir, file))
			var count int
			if err == nil {
				_, err = fmt.Sscan(string(text), &count)
			}
			if err != nil {
				t.Fatal(err)
			}
			if dir == string(p) {
				n[i] = count
			} else if count != 0 {
				t.Errorf("%s/%s is %d", dir, file, count)
			}
		}
	}
	return n
}

func (p pool) has(t *testing.T, total, free int) {
	t.Helper()
	if n := p.read(t); n != [2]int{total, free} {
		t.Errorf("%s has %d pages, %d of them free; want %d and %d", p, n[0], n[1], total, free)
	}
}
