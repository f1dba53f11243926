package integration

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/ledger"
	hostpool "vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/pages"
)

// Breaks of the pools, and of what stands between them and a guest.

// reserve starts a program that maps pages and does not touch them.
func reserve(n int) func(t *testing.T) {
	return func(t *testing.T) {
		mem, err := unix.Mmap(-1, 0, n*size2M*1024, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_HUGETLB)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Munmap(mem) })
	}
}

// surplus starts a program that uses pages on a node, and then takes them out of the pool.
// If other pages are free, the kernel takes one of those instead.
func surplus(node, n int) func(t *testing.T) {
	return func(t *testing.T) { useBeyond(t, node, n) }
}

// useBeyond is surplus, until end is called.
func useBeyond(t *testing.T, node, n int) (end func()) {
	t.Helper()
	before := readTestPools(t)[size2M].Nodes[node].Total
	if err := writePages(node, size2M, before+n); err != nil {
		t.Fatal(err)
	}
	end = useUntil(t, node, size2M, n)
	if err := os.WriteFile(nodePoolDir(node, size2M)+"/nr_hugepages", []byte(fmt.Sprint(before)), 0); err != nil {
		t.Fatal(err)
	}
	return end
}

// use starts a program that uses pages on a node.
func use(t *testing.T, node, size, n int) { t.Helper(); useUntil(t, node, size, n) }

// useUntil is use until end is called, or the test is over.
func useUntil(t *testing.T, node, size, n int) (end func()) {
	t.Helper()
	if n == 0 {
		return func() {}
	}
	if free := readTestPools(t)[size].Nodes[node].Free; free < n {
		t.Fatalf("node %d has %d free pages of %d KiB, not %d", node, free, size, n)
	}
	huge := unix.MAP_HUGETLB | bits.TrailingZeros(uint(size*1024))<<unix.MAP_HUGE_SHIFT
	mem, err := unix.Mmap(-1, 0, n*size*1024, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|huge)
	if err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() { _ = unix.Munmap(mem) })
	t.Cleanup(end)
	const bind = 2 // MPOL_BIND of linux/mempolicy.h
	nodes := uint64(1) << node
	if _, _, errno := unix.Syscall6(unix.SYS_MBIND, uintptr(unsafe.Pointer(&mem[0])), uintptr(len(mem)), bind, uintptr(unsafe.Pointer(&nodes)), 64, 0); errno != 0 {
		t.Fatal(errno)
	}
	for i := 0; i < len(mem); i += size * 1024 {
		mem[i] = 1
	}
	return end
}

func overcommit(n int) func(t *testing.T) {
	return func(t *testing.T) {
		path := poolDir + "/hugepages-2048kB/nr_overcommit_hugepages"
		var before int
		if err := readNumber(path, &before); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.WriteFile(path, []byte(fmt.Sprint(before)), 0) })
		if err := os.WriteFile(path, []byte(fmt.Sprint(n)), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// neighbour starts a guest on so many pages of its own.
func neighbour(pages int) func(t *testing.T) { return beside(pages, startPaused) }

// claimed starts such a guest with vmhuge, which claims the pages.
func claimed(t *testing.T) {
	beside(16, func(t *testing.T, dom *libvirt.Domain) {
		uuid, err := dom.GetUUIDString()
		if err != nil {
			t.Fatal(err)
		}
		done(t, "start", "--paused", nameOf(t, dom))
		t.Cleanup(func() {
			destroy(t, dom)
			released(t, uuid)
		})
	})(t)
}

func beside(n int, start func(t *testing.T, dom *libvirt.Domain)) func(t *testing.T) {
	return func(t *testing.T) {
		if err := addPages(scratch, 0, size2M, n); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := addPages(scratch, 0, size2M, -n); err != nil {
				t.Error(err)
			}
		})
		start(t, define(t, guest{name: guestPrefix + "neighbour", backing: pages2M, memory: fmt.Sprintf("<memory unit='MiB'>%d</memory>", 2*n)}))
	}
}

// promised lets the start of another guest come to the point where it has a claim on free
// pages.
func promised(n int64) func(t *testing.T) {
	return func(t *testing.T) {
		const uuid = "3f0c4e9a-8f5d-4f0e-9a51-0b8f6c1d2e3f"
		owner, err := process.Find("/", os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		withLedger(t, func(l *ledger.Ledger) error {
			return l.Begin(ledger.Claim{UUID: uuid, Name: "starting", Owner: owner, Takes: []hostpool.Take{{Size: pages.Size2MiB, Pages: n}}})
		})
		t.Cleanup(func() { released(t, uuid) })
	}
}

// reservedFor reserves pages for a program, on any node or on these, and adds none.
func reservedFor(n int64, nodes ...int) func(t *testing.T) {
	return func(t *testing.T) {
		reserve := func(takes ...hostpool.Take) {
			withLedger(t, func(l *ledger.Ledger) error { return l.Reserve("ovs", takes) })
		}
		reserve(hostpool.Take{Nodes: nodes, Size: pages.Size2MiB, Pages: n})
		t.Cleanup(func() { reserve() })
	}
}

// keptFor keeps pages for a guest that has ended.
func keptFor(n int64, nodes ...int) func(t *testing.T) {
	return func(t *testing.T) {
		withLedger(t, func(l *ledger.Ledger) error {
			owner, err := process.Find("/", os.Getpid())
			if err == nil {
				err = l.Begin(ledger.Claim{UUID: benchUUID, Name: "db1", Owner: owner, Takes: []hostpool.Take{{Nodes: nodes, Size: pages.Size2MiB, Pages: n}}})
			}
			if err == nil {
				_, err = l.KeepFor(benchUUID, pages.KeepAlways)
			}
			if err == nil {
				_, _, err = l.Release(benchUUID)
			}
			return err
		})
		t.Cleanup(func() {
			withLedger(t, func(l *ledger.Ledger) error {
				_, _, err := l.Free(benchUUID)
				return err
			})
		})
	}
}

// growthReserved has a guest that runs and may take pages yet, as after enable --reserve-growth.
func growthReserved(n int64, nodes ...int) func(t *testing.T) {
	return func(t *testing.T) {
		withLedger(t, func(l *ledger.Ledger) error {
			owner, err := process.Find("/", os.Getpid())
			if err != nil {
				return err
			}
			return l.Begin(ledger.Claim{UUID: benchUUID, Name: "db1", Owner: owner, Takes: []hostpool.Take{{Nodes: nodes, Size: pages.Size2MiB, Pages: n, Growth: true}}})
		})
		t.Cleanup(func() { released(t, benchUUID) })
	}
}

// ifShort notes in the definition what vmhuge start is to do where pages are short. check's
// verdict is that of a plain start all the same.
func ifShort(instead string) func(t *testing.T, dom *libvirt.Domain) {
	return func(t *testing.T, dom *libvirt.Domain) { done(t, "enable", nameOf(t, dom), "--if-short", instead) }
}

func disabled(t *testing.T, dom *libvirt.Domain) { done(t, "disable", nameOf(t, dom)) }

func released(t *testing.T, uuid string) {
	t.Helper()
	withLedger(t, func(l *ledger.Ledger) error {
		_, _, err := l.Release(uuid)
		return err
	})
}

func withLedger(t *testing.T, f func(*ledger.Ledger) error) {
	t.Helper()
	book, err := ledger.Open(context.Background(), "/")
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	if err := f(book); err != nil {
		t.Error(err)
	}
}

// What happened to a domain before its start.

func onNodes(free ...int) func(t *testing.T) {
	return func(t *testing.T) {
		for node, n := range free {
			setPages(t, node, size2M, n)
		}
	}
}

const (
	cgroupRoot    = "/sys/fs/cgroup"
	machineCgroup = cgroupRoot + "/machine" // that of all guests
)

// limited sets a limit of pages of 2 MiB on all guests.
func limited(file string, pages int) func(t *testing.T) {
	return limitedIn(machineCgroup, file, pages)
}

// limitedIn does so on a cgroup of v2, which it makes.
func limitedIn(dir, file string, pages int) func(t *testing.T) {
	return func(t *testing.T) {
		above := cgroupRoot
		for _, name := range strings.Split(strings.TrimPrefix(dir, cgroupRoot+"/"), "/") {
			if err := os.WriteFile(above+"/cgroup.subtree_control", []byte("+hugetlb"), 0); err != nil {
				t.Fatal(err)
			}
			above = filepath.Join(above, name)
			if err := os.MkdirAll(above, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, file)
		t.Cleanup(func() { _ = os.WriteFile(path, []byte("max"), 0) })
		if err := os.WriteFile(path, []byte(strconv.Itoa(pages*size2M*1024)), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// limitedV1 sets it on libvirtd, in a hierarchy of v1: its guests stay in there.
func limitedV1(file string, pages int) func(t *testing.T) {
	return func(t *testing.T) {
		const root, dir = "/run/cgroup-hugetlb", "/run/cgroup-hugetlb/libvirtd"
		pid := []byte(strconv.Itoa(libvirtd.libvirtd.Process.Pid))
		t.Cleanup(func() {
			if err := errors.Join(os.WriteFile(root+"/cgroup.procs", pid, 0), unix.Rmdir(dir)); err != nil {
				t.Error(err)
			}
			// A hierarchy that is unmounted while it still has a cgroup, be it a
			// removed one, stays, and v2 does not get its controller.
			waitUntil(t, "the cgroup is gone", func() bool { return hugetlbHierarchy(t).cgroups == 1 })
			if err := errors.Join(unix.Unmount(root, 0), os.Remove(root)); err != nil {
				t.Error(err)
			}
			waitUntil(t, "the hierarchy is gone", func() bool { return hugetlbHierarchy(t).id == 0 })
		})
		err := errors.Join(os.Mkdir(root, 0o755), unix.Mount("cgroup", root, "cgroup", 0, "hugetlb"), os.Mkdir(dir, 0o755),
			os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(pages*size2M*1024)), 0), os.WriteFile(dir+"/cgroup.procs", pid, 0))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// hierarchy is what /proc/cgroups says of a controller; v2's has the id 0.
type hierarchy struct{ id, cgroups int }

func hugetlbHierarchy(t *testing.T) (h hierarchy) {
	t.Helper()
	data, err := os.ReadFile("/proc/cgroups")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if n, _ := fmt.Sscanf(line, "hugetlb %d %d", &h.id, &h.cgroups); n == 2 {
			return h
		}
	}
	t.Fatalf("/proc/cgroups has no hugetlb:\n%s", data)
	return h
}

// commits has the kernel commit so many KiB more than now, and not a page above that.
func commits(more int) func(t *testing.T) {
	return func(t *testing.T) {
		commit, err := host.Host{Root: "/"}.Commit()
		if err != nil {
			t.Fatal(err)
		}
		sysctl("vm/overcommit_ratio", "50")(t) // put back after the next one, which clears it
		sysctl("vm/overcommit_kbytes", strconv.FormatInt(commit.Committed/pages.KiB+int64(more), 10))(t)
		sysctl("vm/overcommit_memory", "2")(t)
	}
}
