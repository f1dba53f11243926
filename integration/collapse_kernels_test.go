package integration

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"

	room "vmhuge/hostprep/collapse"
	"vmhuge/internal/pages"
)

// TestMicroVMCollapse collapses guests on the kernel of MICROVM_KERNEL: docs/tested.md says on which
// that was done.
func TestMicroVMCollapse(t *testing.T) {
	if !inMicroVM(t, machine{nodes: 1, nodeMiB: 2048}.within(2*time.Hour)) {
		return
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("Linux %s", release)
	for _, part := range sampled(t, []struct {
		name string
		run  func(t *testing.T)
	}{
		{"preallocated", collapsePreallocated},
		{"shared", collapseShared},
		{"pace", collapsePace},
		{"in-pieces", collapseWhereMemoryIsInPieces},
		{"at-work", collapseBusy},
	}) {
		t.Run(part.name, part.run)
	}
}

// collapseShared collapses shared memory that QEMU has aligned. libvirt has no element that asks for
// that, so that a script stands between the two.
func collapseShared(t *testing.T) {
	hostAsBefore(t)
	emulator := filepath.Join("/run", "qemu-that-aligns")
	// On a tmpfs, of which the kernel makes huge pages. QEMU's file there has no name.
	script := `#!/usr/bin/env bash
args=("${@//\"share\":true/\"share\":true,\"align\":2097152}")
exec qemu-system-x86_64 "${args[@]//\/var\/lib\/libvirt\/qemu\/ram\/*\/pc.ram//dev/shm}"
`
	file(emulator, script, 0o755)(t)
	dom := define(t, guest{memory: "<memory unit='MiB'>64</memory>", backing: "<source type='file'/><access mode='shared'/><allocation mode='immediate'/>",
		devices: "<emulator>" + emulator + "</emulator>"})
	startPaused(t, dom)
	c, code := collapsed(t, nameOf(t, dom), "--at-least", "99%")
	if code != 0 || c.Before.HugeKiB != 0 || c.After.HugeKiB != 64<<10 || c.Percent != 100 {
		t.Errorf("%d, %+v", code, c)
	}
	destroy(t, dom)
}

// busyKernel writes a number every 512 bytes from 16 to 96 MiB, reads them again, says r on its
// console if they are right, and w at the first that is not. It boots as QEMU's -kernel does in the
// multiboot format, in no time even where the processor is emulated twice.
var busyKernel = slices.Concat(
	binary.LittleEndian.AppendUint32(nil, 0x1badb002),                  // the header: its magic,
	binary.LittleEndian.AppendUint32(nil, 1<<16),                       // flags: addresses follow
	binary.LittleEndian.AppendUint32(nil, 1<<32-(0x1badb002+1<<16)),    // checksum
	[]byte{0, 0, 0x10, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0},       // it is at 1 MiB, and all of it
	[]byte{0x20, 0, 0x10, 0},                                           // entry, behind the header
	[]byte{0xbd, 1, 0, 0, 0},                                           // mov ebp, 1
	[]byte{0xbf, 0, 0, 0, 1},                                           // round: mov edi, 16 MiB
	[]byte{0x8d, 0x04, 0x2f, 0x89, 0x07},                               // write: lea eax, [edi+ebp]; mov [edi], eax
	[]byte{0x81, 0xc7, 0, 2, 0, 0, 0x81, 0xff, 0, 0, 0, 6, 0x72, 0xed}, // add edi, 512; cmp edi, 96 MiB; jb write
	[]byte{0xbf, 0, 0, 0, 1},                                           // mov edi, 16 MiB
	[]byte{0x8d, 0x04, 0x2f, 0x39, 0x07, 0x75, 0x18},                   // check: lea eax, [edi+ebp]; cmp [edi], eax; jne wrong
	[]byte{0x81, 0xc7, 0, 2, 0, 0, 0x81, 0xff, 0, 0, 0, 6, 0x72, 0xeb}, // add edi, 512; cmp edi, 96 MiB; jb check
	[]byte{0xb0, 'r', 0x66, 0xba, 0xf8, 0x03, 0xee, 0x45, 0xeb, 0xc4},  // out 0x3f8, 'r'; inc ebp; jmp round
	[]byte{0xb0, 'w', 0x66, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xfe},        // wrong: out 0x3f8, 'w'; jmp $
)

// collapseBusy collapses a guest that writes its memory and reads it again all the time, and
// finds there what it wrote, until somebody else writes to it.
func collapseBusy(t *testing.T) {
	hostAsBefore(t)
	setTHP(t, "enabled", "never")
	const kernel = "/run/busy-kernel"
	file(kernel, string(busyKernel), 0o644)(t)
	g := guest{name: domainName(t), memory: "<memory unit='MiB'>128</memory>", kernel: kernel}
	dom := define(t, g)
	start(t, dom)
	says := func() (right, wrong int) {
		console, _ := os.ReadFile(g.console())
		return bytes.Count(console, []byte("r")), bytes.Count(console, []byte("w"))
	}
	goesOn := func() {
		t.Helper()
		begun, _ := says()
		waitUntil(t, "it has written and read all of its memory", func() bool { right, wrong := says(); return right > begun+1 || wrong > 0 })
		if _, wrong := says(); wrong > 0 {
			t.Fatal("its memory is wrong")
		}
	}
	for range 3 {
		goesOn()
		if c, code := collapsed(t, g.name, "--at-least", "99%", "--budget", "5m"); code != 0 || c.After.HugeKiB < 80<<10 {
			t.Errorf("%d, %+v", code, c)
		}
		goesOn()
	}
	right, _ := says()
	t.Logf("it has written and read its memory %d times", right)
	waitUntil(t, "it finds that its memory is wrong", func() bool {
		fill(t, dom, 32*pages.MiB)
		_, wrong := says()
		return wrong > 0
	})
	destroy(t, dom)
}

// collapsePace measures what khugepaged makes huge of a guest whose huge pages the kernel has split,
// and then what collapse does. (Of one that was started while the kernel gave none, and that has all
// of its memory, khugepaged does not look at a page.)
func collapsePace(t *testing.T) {
	hostAsBefore(t)
	setTHP(t, "enabled", "madvise")
	dom := define(t, guest{memory: "<memory unit='MiB'>512</memory>", backing: "<allocation mode='immediate'/>"})
	name := nameOf(t, dom)
	startPaused(t, dom)
	fill(t, dom, 0)
	splitAll(t)
	begun := time.Now()
	p, _ := verified(t, name)
	if p.THPKiB > 64<<10 { // khugepaged has begun already
		t.Errorf("after the splitting it has %d KiB of huge pages", p.THPKiB)
	}
	time.Sleep(time.Minute)
	setTHP(t, "enabled", "never")
	took := time.Since(begun)
	c, code := collapsed(t, name, "--at-least", "99%", "--budget", "10m")
	if code != 0 || c.Stopped != room.AllTried {
		t.Errorf("%d, %+v", code, c)
	}
	khugepaged, gained := float64(c.Before.HugeKiB-p.THPKiB), float64(c.After.HugeKiB-c.Before.HugeKiB)
	pace := c.Seconds * float64(pages.GiB/pages.KiB) / gained
	t.Logf("khugepaged, which scans %s pages each %s ms: %.0f MiB in %s; collapse: %.0f MiB in %.2f s, %.2f s a GiB",
		strings.TrimSpace(readTHP(t, "khugepaged/pages_to_scan")), strings.TrimSpace(readTHP(t, "khugepaged/scan_sleep_millisecs")),
		khugepaged/1024, took.Round(time.Second), gained/1024, c.Seconds, pace)
	if khugepaged == 0 || took.Seconds()*float64(pages.GiB/pages.KiB)/khugepaged < pace {
		t.Error("khugepaged did nothing, or was faster")
	}
	destroy(t, dom)
}

// fill writes something to all of a guest's RAM from an address on: of pages of zeros the kernel keeps none when it splits.
func fill(t *testing.T, dom *libvirt.Domain, from int64) {
	t.Helper()
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pidOf(t, dom)), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	text := bytes.Repeat([]byte("vmhuge"), huge/6)
	p, _ := verified(t, nameOf(t, dom))
	for _, part := range p.Parts {
		start, err := strconv.ParseInt(part.Address, 16, 64)
		for at := from; err == nil && at < part.KiB*pages.KiB; at += huge {
			_, err = memory.WriteAt(text, start+at)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// splitAll has the kernel split all transparent huge pages.
func splitAll(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("debugfs", dir, "debugfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "split_huge_pages"), []byte("1"), 0), unix.Unmount(dir, 0)); err != nil {
		t.Fatal(err)
	}
}
