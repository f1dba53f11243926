package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/hook"
)

// What a boot sector of 16-bit code does: it sends a byte to the serial port, and then writes
// one to a port of the machine.
const (
	panicPort = 0x505 // of <panic model='isa'/>
	resetPort = 0xcf9
)

// bootSector is a disk with a program that writes a value to a port.
func bootSector(t *testing.T, port uint16, value byte) (path string) {
	t.Helper()
	out := func(port uint16, value byte) []byte { // mov dx,port; mov al,value; out dx,al
		return []byte{0xba, byte(port), byte(port >> 8), 0xb0, value, 0xee}
	}
	disk := make([]byte, 1<<20)
	copy(disk, slices.Concat(out(0x3f8, '!'), out(port, value), []byte{0xf4, 0xeb, 0xfd})) // hlt, again
	disk[510], disk[511] = 0x55, 0xaa
	path = filepath.Join(bootDir, domainName(t)+".disk")
	t.Cleanup(func() { _ = os.Remove(path) })
	if err := os.WriteFile(path, disk, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestGuestCrashes has guests panic and reset themselves. As long as QEMU lives the guest has
// its pages, and when it ends they are freed.
func TestGuestCrashes(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 10)
	installHook(t)
	before := readTestPools(t)[size2M].Nodes[0]
	for name, row := range map[string]struct {
		port  uint16
		value byte
		does  string // on_crash, on_reboot
		ends  bool   // QEMU
		state libvirt.DomainState
	}{
		"panic-destroy":  {panicPort, 1, "destroy", true, libvirt.DOMAIN_SHUTOFF},
		"panic-restart":  {panicPort, 1, "restart", false, libvirt.DOMAIN_RUNNING},
		"panic-preserve": {panicPort, 1, "preserve", false, libvirt.DOMAIN_CRASHED},
		"reset-destroy":  {resetPort, 6, "destroy", true, libvirt.DOMAIN_SHUTOFF},
		"reset-restart":  {resetPort, 6, "restart", false, libvirt.DOMAIN_RUNNING},
	} {
		t.Run(name, func(t *testing.T) {
			g := guest{name: domainName(t), backing: pages2M, more: "<on_crash>" + row.does + "</on_crash>"}
			if row.port == resetPort || row.does == "restart" { // libvirt restarts it by a reset
				g.onReboot = row.does
			}
			g.devices = fmt.Sprintf("<panic model='isa'/><serial type='file'><source path='%s'/></serial>"+
				"<disk type='file'><driver name='qemu' type='raw'/><source file='%s'/><target dev='sda' bus='sata'/></disk>", g.console(), bootSector(t, row.port, row.value))
			dom := define(t, g)
			startPaused(t, dom)
			pid := pidOf(t, dom)
			if err := dom.Resume(); err != nil {
				t.Fatal(err)
			}
			waitUntil(t, "the guest has come to its end", func() bool {
				console, _ := os.ReadFile(g.console())
				state, _, err := dom.GetState()
				again := row.state != libvirt.DOMAIN_RUNNING || strings.Count(string(console), "!") > 1
				return err == nil && state == row.state && again
			})
			if row.ends {
				waitUntil(t, "the hook is called", func() bool { return lastCall(t, g.name).Operation == "release" })
				wantClaims(t)
			} else {
				done(t, "status")
				wantClaims(t, g.name+" in-use")
				if got := pagesOf(t, pid); got[size2M] != 32 || pidOf(t, dom) != pid {
					t.Errorf("process %d, now %d, has %v", pid, pidOf(t, dom), got)
				}
				destroy(t, dom)
			}
			crashed(t, g.name, before)
		})
	}
}

// crashed checks that nothing is left of a guest that has ended.
func crashed(t *testing.T, name string, before nodePool) {
	t.Helper()
	wantClaims(t)
	if got := readTestPools(t)[size2M].Nodes[0]; got != before {
		t.Errorf("the pool was %+v, and is %+v", before, got)
	}
	if e := lastCall(t, name); e.Result != hook.Released || e.Owed != 0 || e.Given != 22*size2M*1024 {
		t.Errorf("the log says %+v", e)
	}
}

// TestGuestReset resets a guest, and has its QEMU crash.
func TestGuestReset(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 10)
	installHook(t)
	before := readTestPools(t)[size2M].Nodes[0]
	dom := define(t, guest{backing: pages2M, onReboot: "restart"})
	name := nameOf(t, dom)
	startPaused(t, dom)
	pid := pidOf(t, dom)
	if err := dom.Reset(0); err != nil {
		t.Fatal(err)
	}
	if got := pagesOf(t, pidOf(t, dom)); got[size2M] != 32 || pidOf(t, dom) != pid {
		t.Errorf("after a reset process %d, was %d, has %v", pidOf(t, dom), pid, got)
	}
	wantClaims(t, name+" in-use")
	if err := unix.Kill(pid, unix.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the hook is called", func() bool { return lastCall(t, name).Operation == "release" })
	crashed(t, name, before)
}
