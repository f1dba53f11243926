package ledger

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// grower is a guest of 40 pages that has DIMMs and a virtio-mem device, as the test knows it.
type grower struct {
	t        *testing.T
	root     hostfs.Root
	reserved int
	dimms    []int
	plugged  int // of virtio-mem, as far as vmhuge can know
	touched  int // of that
	leaving  int // of that, what it may yet give up, as a run was killed
	log      []string
}

func (g *grower) dimmPages() (sum int) {
	for _, n := range g.dimms {
		sum += n
	}
	return sum
}

// show writes what the kernel says of the guest, and of the pool.
func (g *grower) show() {
	g.t.Helper()
	free := fmt.Sprint(nr(g.t, g.root, 0, 2048) - int64(40+g.dimmPages()+g.touched))
	write(g.t, g.root.Path("sys", "devices", "system", "node", "node0", "hugepages", "hugepages-2048kB", "free_hugepages"), free)
	write(g.t, g.root.Path("sys", "kernel", "mm", "hugepages", "hugepages-2048kB", "free_hugepages"), free)
	_, text, _ := strings.Cut(smapsOf(700, 40+g.dimmPages()), "--\n")
	text += fmt.Sprintf("\n7f2000000000-7f2100000000 rw-s 00000000 00:2b 94 /b\nSize: 262144 kB\nKernelPageSize: 2048 kB\nShared_Hugetlb: %d kB\nVmFlags: rd nr ht sd\n", g.touched*2048)
	must(g.t, os.WriteFile(g.root.Path("proc", "700", "smaps"), []byte(text), 0o644))
}

// right compares the pool and what others are kept from with what the guest has: beside its 40
// pages and the 60 of others there is the more of what it has grown by and what was reserved.
func (g *grower) right(l *Ledger) bool {
	var reserved, coming int64
	for _, p := range l.Pending("") {
		if p.Growth {
			reserved += p.Unmapped
		} else {
			coming += p.Unmapped
		}
	}
	grown := g.dimmPages() + g.plugged
	inPool := int64(100 + max(g.reserved, grown))
	if n := int64(nr(g.t, g.root, 0, 2048)); n != inPool || reserved != int64(max(0, g.reserved-grown)) || coming != int64(g.plugged-g.touched) {
		g.t.Errorf("%d pages, not %d; %d reserved, %d to come; %+v\n%+v", n, inPool, reserved, coming, *g, l.claims)
	}
	return !g.t.Failed()
}

// TestReservedGrowthRandom has guests grow and shrink at random, with virtio-mem and DIMMs, with
// and without pages reserved for that, while libvirt refuses, vmhuge is killed, the guest is late
// and another program removes DIMMs.
func TestReservedGrowthRandom(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 0))
		root := fixture(t, oneNode, us(), qemu(700, web1), smapsOf(700, 40))
		g := &grower{t: t, root: root, reserved: 20 * random.IntN(2)}
		l := open(t, root)
		all := takes(40)
		if g.reserved > 0 {
			all = append(all, pool.Take{Size: pages.Size2MiB, Pages: int64(g.reserved), Growth: true})
		}
		must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: all, Elastic: true}))
		must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: int64(g.reserved)}}, pool.Effort{}))
		must(t, l.Started(web1))
		g.show()
		for range 40 {
			l = g.step(l, random)
			if !g.right(l) {
				t.Fatalf("seed %d:\n%s", seed, strings.Join(g.log, "\n"))
			}
		}
		must(t, os.RemoveAll(root.Path("proc", "700")))
		l.Close()
		open(t, root).Close()
		if n := nr(t, root, 0, 2048); n != 100 {
			t.Fatalf("%d pages are left, seed %d:\n%s", n, seed, strings.Join(g.log, "\n"))
		}
	}
}

// step is one change of the guest.
func (g *grower) step(l *Ledger, random *rand.Rand) *Ledger {
	g.t.Helper()
	by, lazy, how := 1+random.IntN(15), random.IntN(2) == 0, random.IntN(6)
	was := g.dimmPages()
	shrinks := random.IntN(2) == 0 && (lazy && g.plugged > 0 || !lazy && was > 0)
	switch {
	case shrinks && lazy:
		by = 1 + random.IntN(g.plugged)
	case shrinks:
		by = g.dimms[0]
	}
	if random.IntN(3) == 0 {
		g.touched += random.IntN(g.plugged - g.touched + 1)
		g.show()
	}
	if random.IntN(2) == 0 {
		given := random.IntN(min(g.leaving, g.touched) + 1)
		g.leaving, g.touched = g.leaving-given, g.touched-given
		g.show()
	}
	sign := 1
	if shrinks {
		sign = -1
	}
	g.log = append(g.log, fmt.Sprintf("%+d, virtio-mem %v, how %d; %+v", sign*by, lazy, how, g.dimms))
	if how == 5 && !lazy && shrinks { // another program removes the DIMM
		g.dimms = g.dimms[1:]
		g.show()
		must(g.t, l.Audit())
		return l
	}
	must(g.t, l.BeginResize(web1, "web1", Resize{Owner: process.Process{PID: 600, Start: 5}, Size: pages.Size2MiB, Pages: int64(sign * by), Lazy: lazy}))
	grown := was + g.plugged
	if more := max(g.reserved, grown+by) - max(g.reserved, grown); !shrinks && more > 0 {
		must(g.t, l.Grow(g.t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: int64(more)}}, pool.Effort{}))
	}
	again := func() *Ledger {
		l.Close()
		l = open(g.t, g.root)
		must(g.t, l.Audit())
		return l
	}
	if how == 0 { // killed before libvirt is asked
		return again()
	}
	must(g.t, l.AskResize(web1))
	done := how != 1 // else the guest or libvirt refuses
	if done && !lazy {
		if g.dimms = append(g.dimms, by); shrinks {
			g.dimms = g.dimms[1 : len(g.dimms)-1]
		}
	}
	if done && lazy && (how != 2 || !shrinks) {
		g.plugged += sign * by
		g.touched = min(g.touched, g.plugged)
	}
	late := how == 3 && shrinks && !lazy // the guest gives it up after vmhuge has waited
	if !late {
		g.show()
	}
	switch {
	case how == 2: // killed before it has counted
		if shrinks && lazy && g.reserved > 0 { // of others nothing is held once they have touched all
			g.leaving += by
		}
		return again()
	case how == 1 && lazy:
		_, _, err := l.EndResizeBy(web1, 0)
		must(g.t, err)
	case how == 4: // killed after it has counted
		grew := int64(sign * by)
		must(g.t, l.save(0, l.claims[0].resized(grew)))
		return again()
	case lazy:
		_, _, err := l.EndResizeBy(web1, int64(sign*by))
		must(g.t, err)
	default:
		_, _, err := l.EndResize(web1)
		must(g.t, err)
	}
	if late {
		g.show()
		must(g.t, l.Audit())
	}
	return l
}
