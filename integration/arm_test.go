package integration

import (
	"encoding/json"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/launcher"
)

// givenBackBy says what frees the pages that were added for a guest.
func givenBackBy(t *testing.T, name string) string {
	t.Helper()
	var s launcher.Status
	if err := json.Unmarshal([]byte(done(t, "status", name, "--json").Stdout), &s); err != nil || len(s.Domains) != 1 {
		t.Fatalf("status: %v, %+v", err, s)
	}
	return s.Domains[0].GivenBackBy
}

// TestArmed kills QEMU while libvirtd is dead, and nobody is there to see it:
// the kernel frees the pages of a guest that has the pool for itself. A second
// guest takes that over, whatever their sizes.
func TestArmed(t *testing.T) {
	for _, sizes := range [][2]int{{256, 32}, {32, 256}} { // MiB
		t.Run(fmt.Sprint(sizes[0]), func(t *testing.T) {
			hostAsBefore(t)
			setPages(t, 0, size2M, 0)
			guests := []guest{
				{name: guestPrefix + "first", backing: pages2M, memory: fmt.Sprintf("<memory unit='MiB'>%d</memory>", sizes[0])},
				{name: guestPrefix + "second", backing: pages2M, memory: fmt.Sprintf("<memory unit='MiB'>%d</memory>", sizes[1])},
			}
			first := define(t, guests[0])
			define(t, guests[1])
			armed := nodePool{Total: sizes[0] / 2, Surplus: sizes[0] / 2}

			done(t, "start", "--paused", guests[0].name)
			wantNodes(t, "with the first", armed)
			if by := givenBackBy(t, guests[0].name); by != "kernel" {
				t.Errorf("the first's pages are given back by %q", by)
			}
			pid := pidOf(t, first)
			if err := libvirtd.libvirtd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = libvirtd.libvirtd.Wait()
			t.Cleanup(func() { // should the test end before it starts it
				if !alive(libvirtd.libvirtd) {
					if err := libvirtd.startLibvirtd(); err != nil {
						t.Error(err)
					}
				}
			})
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			waitUntil(t, "the kernel has freed the pages", func() bool { return readTestPools(t)[size2M].Nodes[0] == nodePool{} })
			if err := libvirtd.startLibvirtd(); err != nil {
				t.Fatal(err)
			}

			done(t, "start", "--paused", guests[0].name)
			wantNodes(t, "with the first again", armed)
			done(t, "start", "--paused", guests[1].name)
			wantNodes(t, "with both", nodePool{Total: (sizes[0] + sizes[1]) / 2})
			for _, g := range guests {
				if by := givenBackBy(t, g.name); by != "vmhuge" {
					t.Errorf("%s's pages are given back by %q", g.name, by)
				}
			}
			destroy(t, lookup(t, guests[0].name)) // without vmhuge
			done(t, "status")
			wantNodes(t, "with the second", nodePool{Total: sizes[1] / 2})
			stopNow(t, guests[1].name)
			wantNodes(t, "at the end", nodePool{})
		})
	}
}
