package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/proof"
	"vmhuge/internal/pages"
)

var twoNodes = machine{nodes: 2, nodeMiB: 2048}

// twoNodesWith1G has a page of 1 GiB on each from boot on: once it runs, its kernel
// has no such piece of memory any more. With less, the kernel's own image or the
// gap below 4 GiB may leave none on node 0.
var twoNodesWith1G = machine{nodes: 2, nodeMiB: 4096, kernel: "hugepagesz=1G hugepages=0:1,1:1"}

// oneGiBOnEach holds the kernel to what it was asked for at boot: a page that one
// node can't give it makes on another, and says nothing.
func oneGiBOnEach(t *testing.T) {
	t.Helper()
	for node, pool := range readTestPools(t)[size1G].Nodes {
		if pool.Free != 1 {
			t.Fatalf("node %d has %d free pages of 1 GiB from boot on, not 1", node, pool.Free)
		}
	}
}

// on returns a guest of 32 pages that takes them all on one node.
func on(node int) guest {
	return guest{
		name: fmt.Sprintf("%snode%d", guestPrefix, node), backing: pages2M,
		more: fmt.Sprintf("<numatune><memory mode='strict' nodeset='%d'/></numatune>", node),
	}
}

// wantNodes holds the pools of 2 MiB pages of node 0 and 1 to be these.
func wantNodes(t *testing.T, when string, want ...nodePool) {
	t.Helper()
	var got []nodePool
	for node := range want {
		got = append(got, readTestPools(t)[size2M].Nodes[node])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		said, _ := shell(t, "vmhuge status; tail -n +1 /run/vmhuge/claims/* /run/vmhuge/counts.json /run/vmhuge/hook.log")
		t.Errorf("the pools, %s (-want +got):\n%s\n%s", when, diff, said)
	}
}

// wantByNode holds a running guest's proof to name so many pages on each node.
func wantByNode(t *testing.T, domain string, count map[string]int64) {
	t.Helper()
	for node := range count {
		count[node] *= size2M
	}
	var answer struct{ Domains []proof.Proof }
	r := done(t, "verify", domain, "--json")
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || len(answer.Domains) != 1 {
		t.Fatalf("verify: %v\n%s", err, r.Stdout)
	}
	if diff := cmp.Diff(count, answer.Domains[0].ByNode); diff != "" {
		t.Errorf("KiB of huge pages by node (-want +got):\n%s", diff)
	}
}

func stopNow(t *testing.T, domain string) {
	t.Helper()
	done(t, "stop", "--force", "--timeout", "0s", domain)
}

// TestMicroVMTwoNodes runs what takes two nodes on one machine: to boot it and start
// libvirtd there takes longer than most of these tests.
func TestMicroVMTwoNodes(t *testing.T) {
	const planSets = 2
	if !inMicroVM(t, twoNodes.within(time.Duration(number(t, "PLAN_SETS", planSets)+6)*5*time.Minute)) {
		return
	}
	t.Run("strict", strictNodes)
	t.Run("hook", hookOnNodes)
	for _, part := range sampled(t, []struct {
		name string
		run  func(t *testing.T)
	}{
		{"cells", cellsOnNodes},
		{"surplus", surplusOnOtherNode},
		{"owed", owedOnNodes},
		{"number-for-the-host", numberForTheHost},
		{"plan", func(t *testing.T) { planOnNodes(t, planSets) }},
		{"offline", memoryOffline},
		{"too-small", nodeTooSmall},
		{"keeps-memory", nodeKeepsMemory},
		{"prepared", preparedOnNodes},
		{"commit", preparedWithinCommit},
	}) {
		t.Run(part.name, part.run)
	}
}

// strictNodes runs a guest on each node. Pages that were free there before are
// used, and are free again afterwards.
func strictNodes(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 5)
	setPages(t, 1, size2M, 7)
	zero, one := nameOf(t, define(t, on(0))), nameOf(t, define(t, on(1)))

	done(t, "start", "--paused", zero)
	wantByNode(t, zero, map[string]int64{"0": 32})
	wantNodes(t, "with a guest on node 0", nodePool{Total: 32}, nodePool{Total: 7, Free: 7})
	done(t, "start", "--paused", one)
	wantByNode(t, one, map[string]int64{"1": 32})
	wantNodes(t, "with a guest on each node", nodePool{Total: 32}, nodePool{Total: 32})
	stopNow(t, zero)
	wantNodes(t, "with a guest on node 1", nodePool{Total: 5, Free: 5}, nodePool{Total: 32})
	stopNow(t, one)
	wantNodes(t, "at the end", nodePool{Total: 5, Free: 5}, nodePool{Total: 7, Free: 7})
}

// cellsOnNodes binds each node of a guest to one of the host.
func cellsOnNodes(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 1, size2M, 3)
	domain := nameOf(t, define(t, guest{backing: pages2M, more: `
		<numatune><memnode cellid='0' mode='strict' nodeset='1'/><memnode cellid='1' mode='strict' nodeset='0'/></numatune>
		<cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/><cell id='1' memory='64' unit='MiB'/></numa></cpu>`}))
	done(t, "start", "--paused", domain)
	wantByNode(t, domain, map[string]int64{"0": 32, "1": 16})
	wantNodes(t, "while it runs", nodePool{Total: 32}, nodePool{Total: 16})
	stopNow(t, domain)
	wantNodes(t, "at the end", nodePool{}, nodePool{Total: 3, Free: 3})
}

// surplusOnOtherNode starts and stops a guest on node 1 while the pages of
// one on node 0 are surplus: somebody wrote 0 there, and they go when it goes.
// Kernels before 6.12 then add node 0's surplus to what is written to node 1,
// and later ones do not free what is free there.
func surplusOnOtherNode(t *testing.T) {
	type row struct {
		name    string
		surplus int // pages of the guest on node 0; the one on node 1 has 32
		foreign int // free on node 1 before
	}
	for _, row := range sampled(t, []row{
		{"less", 16, 0},
		{"as-much", 32, 0},
		{"more", 64, 0},
		{"more-and-too-few-free", 64, 20},
		{"more-and-enough-free", 64, 40},
	}) {
		t.Run(row.name, func(t *testing.T) {
			hostAsBefore(t)
			setPages(t, 1, size2M, row.foreign)
			setPages(t, 0, size2M, row.surplus)
			zero := on(0)
			zero.memory = fmt.Sprintf("<memory unit='MiB'>%d</memory>", row.surplus*2)
			dom := define(t, zero)
			domain := nameOf(t, define(t, on(1)))
			startPaused(t, dom)
			if err := os.WriteFile(nodePoolDir(0, size2M)+"/nr_hugepages", []byte("0"), 0); err != nil {
				t.Fatal(err)
			}
			surplus := nodePool{Total: row.surplus, Surplus: row.surplus}
			before := nodePool{Total: row.foreign, Free: row.foreign}
			during := nodePool{Total: max(row.foreign, 32), Free: max(row.foreign-32, 0)}
			wantNodes(t, "before", surplus, before)

			done(t, "start", "--paused", domain)
			wantByNode(t, domain, map[string]int64{"1": 32})
			wantNodes(t, "with a guest on node 1", surplus, during)
			stopNow(t, domain)
			wantNodes(t, "after it", surplus, before)
			done(t, "start", "--paused", domain)
			destroy(t, dom)
			wantNodes(t, "when the guest on node 0 ended first", nodePool{}, during)
			stopNow(t, domain)
			wantNodes(t, "at the end", nodePool{}, before)
		})
	}
}

// owedOnNodes gives pages back while another mount has some reserved. On which
// node can't be known, so each node keeps as many until the mount is gone.
func owedOnNodes(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 32)
	domain := nameOf(t, define(t, on(1)))
	t.Run("reserved", func(t *testing.T) {
		otherMount("pagesize=2M,min_size=6M")(t)
		done(t, "start", "--paused", domain)
		wantByNode(t, domain, map[string]int64{"1": 32})
		stopNow(t, domain)
		wantNodes(t, "with 3 pages reserved", nodePool{Total: 32, Free: 32}, nodePool{Total: 3, Free: 3})
	})
	done(t, "status")
	wantNodes(t, "with none", nodePool{Total: 32, Free: 32}, nodePool{})
}

// nodeTooSmall asks one node for more than it can give.
func nodeTooSmall(t *testing.T) {
	t.Run("by-the-numbers", func(t *testing.T) {
		refusedOnNode1(t, pages2M, "are free on node 1", func(n host.Node) int64 { return n.Total + 64*pages.MiB })
	})
	// There is room, but no GiB of it in one piece: mostly only the try tells, and at
	// times it is seen before.
	t.Run("by-the-kernel", func(t *testing.T) {
		refusedOnNode1(t, pages1G, "the kernel (can allocate 0|could allocate no more)", func(host.Node) int64 { return pages.GiB })
	})
}

// nodeKeepsMemory asks for all that is free on a node. QEMU needs ordinary memory
// there, too: without it the kernel would kill QEMU, libvirtd or vmhuge.
func nodeKeepsMemory(t *testing.T) {
	refusedOnNode1(t, pages2M, "node 1", func(n host.Node) int64 { return n.Free + n.Cache - 32*pages.MiB })
}

// refusedOnNode1 starts a guest with so much memory on node 1 and wants vmhuge
// to refuse it for want of memory, in such words, and to leave nothing.
func refusedOnNode1(t *testing.T, backing, words string, bytes func(host.Node) int64) {
	t.Helper()
	hostAsBefore(t)
	setPages(t, 0, size2M, 4)
	setPages(t, 1, size2M, 4)
	before := nodePool{Total: 4, Free: 4}
	nodes, err := host.Host{Root: "/"}.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	g := on(1)
	g.backing = backing
	g.memory = fmt.Sprintf("<memory unit='MiB'>%d</memory>", bytes(nodes[1])/(2*pages.MiB)*2)
	r := report(t, 4, "start", "--paused", nameOf(t, define(t, g)), "--host-reserve", "256M")
	if r.Verdict != hostprep.NoMemory || !regexp.MustCompile(words).MatchString(fmt.Sprintf("%+v", r.Findings)) {
		t.Errorf("start: %+v", r)
	}
	wantNodes(t, "after the start", before, before)
}

// hookOnNodes has libvirt start a strict guest on each node, for which the
// hook gets the pages.
func hookOnNodes(t *testing.T) {
	hostAsBefore(t)
	installHook(t)
	setPages(t, 0, size2M, 5)
	setPages(t, 1, size2M, 7)
	zero, one := define(t, on(0)), define(t, on(1))
	startPaused(t, one)
	wantNodes(t, "with a guest on node 1", nodePool{Total: 5, Free: 5}, nodePool{Total: 32})
	startPaused(t, zero)
	wantByNode(t, nameOf(t, zero), map[string]int64{"0": 32})
	wantByNode(t, nameOf(t, one), map[string]int64{"1": 32})
	destroy(t, one)
	wantNodes(t, "with a guest on node 0", nodePool{Total: 32}, nodePool{Total: 7, Free: 7})
	destroy(t, zero)
	wantNodes(t, "at the end", nodePool{Total: 5, Free: 5}, nodePool{Total: 7, Free: 7})

	// Another program sets node 0 while a guest runs on either.
	startPaused(t, zero)
	startPaused(t, one)
	writeNode(t, 0, 9)
	destroy(t, zero)
	destroy(t, one)
	wantNodes(t, "at the end, with node 0 set", nodePool{Total: 9, Free: 9}, nodePool{Total: 7, Free: 7})
	writeNode(t, 0, 5)
}

// numberForTheHost has another program set a pool from which only node 0 has pages to give,
// while a guest on each node has all its pages. A number for the whole host has in it what
// vmhuge has added on node 1; one for node 0 has not.
func numberForTheHost(t *testing.T) {
	for name, test := range map[string]struct {
		write string
		one   int // pages of node 1 at the end
	}{
		"sysctl": {"sysctl -qw vm.nr_hugepages=66", 32},
		"sysfs":  {"echo 66 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", 32},
		"node":   {"echo 34 > " + nodePoolDir(0, size2M) + "/nr_hugepages", 7},
	} {
		t.Run(name, func(t *testing.T) {
			hostAsBefore(t)
			installHook(t)
			setPages(t, 0, size2M, 42)
			setPages(t, 1, size2M, 7)
			time.Sleep(1100 * time.Millisecond) // else whoever has opened a file may still write
			startPaused(t, define(t, on(0)))
			one := define(t, on(1))
			startPaused(t, one)
			// The kernel forgets what nobody has open, but not the time of these files.
			if out, code := shell(t, "echo 2 > /proc/sys/vm/drop_caches; "+test.write); code != 0 {
				t.Fatal(out)
			}
			wantNodes(t, "set", nodePool{Total: 34, Free: 2}, nodePool{Total: 32})
			destroy(t, lookup(t, on(0).name))
			destroy(t, one)
			wantNodes(t, "at the end", nodePool{Total: 34, Free: 34}, nodePool{Total: test.one, Free: test.one})
			writeNode(t, 0, 42)
			writeNode(t, 1, 7)
		})
	}
	t.Run("moved", movedToNode1)
}

// movedToNode1 has the kernel move a guest's pages from node 0, where 5 were there before it, to
// node 1, which has room for 7: 25 of the 27 that vmhuge had added. Each node is left with what
// was there before.
func movedToNode1(t *testing.T) {
	hostAsBefore(t)
	installHook(t)
	setPages(t, 0, size2M, 5)
	setPages(t, 1, size2M, 7)
	time.Sleep(1100 * time.Millisecond)
	zero := define(t, on(0))
	startPaused(t, zero)
	from, to := uint64(1), uint64(2) // sets of nodes
	if _, _, err := unix.Syscall6(unix.SYS_MIGRATE_PAGES, uintptr(pidOf(t, zero)), 3, uintptr(unsafe.Pointer(&from)), uintptr(unsafe.Pointer(&to)), 0, 0); err != 0 {
		t.Fatal(err)
	}
	wantNodes(t, "moved", nodePool{Total: 7, Free: 7}, nodePool{Total: 32})
	destroy(t, zero)
	wantNodes(t, "at the end", nodePool{Total: 5, Free: 5}, nodePool{Total: 7, Free: 7})
}

// memoryOffline takes memory offline below a guest that has more of its node than stays: the
// kernel moves pages to the other node. Those that vmhuge had added go when the guest ends,
// and each node is left with what it had before; a pool of somebody else's stays as the kernel
// left it.
func memoryOffline(t *testing.T) {
	for _, before := range []int{5, 600} { // pages of the pool, of which the guest wants 384
		t.Run(fmt.Sprint(before), func(t *testing.T) {
			hostAsBefore(t)
			setPages(t, 1, size2M, before)
			large := on(1)
			large.memory = "<memory unit='MiB'>768</memory>"
			domain := nameOf(t, define(t, large))
			done(t, "start", "--paused", domain)
			takeOffline(t, 1)
			moved := readTestPools(t)[size2M].Nodes
			if moved[0].Total == 0 {
				t.Fatalf("the kernel has moved nothing: %+v", moved)
			}
			stopNow(t, domain)
			want := []nodePool{{}, {Total: 5, Free: 5}}
			if before == 600 {
				want = []nodePool{{Total: moved[0].Total, Free: moved[0].Total}, {Total: moved[1].Total, Free: moved[1].Total}}
			}
			wantNodes(t, "at the end", want...)
			if err := writePages(0, size2M, 0); err != nil {
				t.Error(err)
			}
		})
	}
}

// takeOffline takes every block of a node's memory offline that the kernel gives up,
// until half of them are, and online again when the test ends.
func takeOffline(t *testing.T, node int) {
	t.Helper()
	blocks, err := filepath.Glob(fmt.Sprintf("/sys/devices/system/node/node%d/memory*", node))
	if err != nil || len(blocks) == 0 {
		t.Fatalf("blocks of memory: %v, %v", blocks, err)
	}
	taken := 0
	for _, block := range blocks {
		if taken == len(blocks)/2 {
			return
		}
		state := block + "/state"
		if err := os.WriteFile(state, []byte("offline"), 0); err != nil {
			t.Log(err) // what the kernel itself uses
			continue
		}
		taken++
		t.Cleanup(func() {
			if err := os.WriteFile(state, []byte("online"), 0); err != nil {
				t.Error(err)
			}
		})
	}
	t.Fatalf("%d of %d blocks of memory can be taken offline", taken, len(blocks))
}
