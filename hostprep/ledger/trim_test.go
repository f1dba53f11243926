package ledger

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// TestTrimCutOff has the write of the pool fail when a running guest is trimmed, and perhaps
// vmhuge killed there. Once the guest has ended, what was before it is left.
func TestTrimCutOff(t *testing.T) {
	for name, test := range map[string]struct {
		kill bool
		is   int64 // what the pool has then; 10 of 150 were to go
	}{
		"the write fails":      {false, 150},
		"killed before it":     {true, 150},
		"killed after it":      {true, 140},
		"killed in its middle": {true, 143},
	} {
		t.Run(name, func(t *testing.T) {
			root := fixture(t, oneNode, us(), qemu(700, web1), smapsOf(700, 50))
			all := "sys/kernel/mm/hugepages/hugepages-2048kB/"
			node := "sys/devices/system/node/node0/hugepages/hugepages-2048kB/"
			free := func(n int64) {
				must(t, root.WriteInt(n, all, "free_hugepages"))
				must(t, root.WriteInt(n, node, "free_hugepages"))
			}
			l := open(t, root)
			must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(50), Elastic: true}))
			must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 50}}, pool.Effort{}))
			free(110)
			must(t, l.Started(web1))
			l.Close()

			has(t, root, 40) // libvirt has unplugged a DIMM
			file := root.Path(node, "nr_hugepages")
			must(t, os.Remove(file))
			must(t, os.Symlink(sealed(t, "150\n"), file))
			l = open(t, root)
			if err := l.Audit(); err == nil {
				t.Error("the pool was written")
			}
			if test.kill {
				must(t, l.lock.Close())
			} else {
				l.Close()
			}
			must(t, os.Remove(file))
			write(t, file, fmt.Sprintln(test.is))

			l = open(t, root)
			if c, err := l.read(l.claims[0]); err != nil || pool.Done(c.Grants, pages.Size2MiB) != test.is-100 || c.Phase != InUse || len(l.SetAside) > 0 {
				t.Errorf("the next run: %v, %+v, %q", err, c, l.SetAside)
			}
			must(t, l.Begin(Claim{UUID: db1, Name: "db1", Owner: owner(), Takes: takes(7)}))
			must(t, l.Grow(t.Context(), db1, []pool.Need{{Size: pages.Size2MiB, Pages: 7}}, pool.Effort{}))
			l.Close()
			must(t, os.RemoveAll(root.Path("proc", "700")))
			free(test.is)
			open(t, root).Close()
			if n := nr(t, root, 0, 2048); n != 107 {
				t.Errorf("%d pages are left, not 100 and 7 of db1", n)
			}
		})
	}
}

// sealed is a file that can be read and not be written, not by root either.
func sealed(t *testing.T, text string) string {
	t.Helper()
	fd, err := unix.MemfdCreate("sealed", unix.MFD_ALLOW_SEALING|unix.MFD_CLOEXEC)
	must(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	_, err = unix.Write(fd, []byte(text))
	must(t, err)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK)
	must(t, err)
	return fmt.Sprintf("/proc/self/fd/%d", fd)
}
