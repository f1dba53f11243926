package pool

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// A plain file keeps any number, and the pages that are free do not follow it.
// How the kernel answers is for the integration tests; what is written where,
// and what is on record when, is seen here.

// recorder keeps what grow wrote down, and what the pools held at that time.
type recorder struct {
	t     *testing.T
	root  hostfs.Root
	fail  int // which call shall fail; 0: none
	calls []string
	last  []Grant
}

var errDisk = errors.New("no space left on device")

func (r *recorder) record(grants []Grant) error {
	state, err := Read(r.root)
	must(r.t, err)
	text := ""
	for _, g := range grants {
		p, _ := state.Pool(g.Node, g.Size)
		text += pages.FormatNodes([]int{g.Node}) + ":" + g.Size.String() + " "
		if g.Without != nil {
			text += "may gain "
		}
		text += pages.FormatBytes(g.Pages*int64(g.Size)) + " of now " + pages.FormatBytes(p.Total*int64(g.Size)) + "; "
	}
	r.calls = append(r.calls, text)
	if len(r.calls) == r.fail {
		return errDisk
	}
	r.last = slices.Clone(grants)
	return nil
}

func grown(t *testing.T, ctx context.Context, root hostfs.Root, needs []Need, effort Effort, fail int) (*recorder, error) {
	t.Helper()
	r := &recorder{t: t, root: root, fail: fail}
	return r, Grow(ctx, root, needs, effort, r.record)
}

func TestGrow(t *testing.T) {
	// Surplus becomes pages that stay when a pool grows; a file does not do that.
	root := fixture(t, strings.Replace(twoNodes, "0 2048 10 6 4", "0 2048 10 6 0", 1))
	r, err := grown(t, t.Context(), root, []Need{
		{Nodes: []int{0}, Size: pages.Size2MiB, Pages: 5},
		{Size: pages.Size1GiB, Pages: 2},
		{Size: pages.Size2MiB, Pages: 7},
		{Nodes: []int{0, 1}, Size: pages.Size2MiB, Pages: 3},
	}, Effort{}, 0)
	must(t, err)
	// The 1 GiB pages come first, and node 1 has the more free memory.
	want := []Grant{{1, pages.Size1GiB, 2, nil, 0}, {0, pages.Size2MiB, 5, nil, 0}, {1, pages.Size2MiB, 7, nil, 0}, {1, pages.Size2MiB, 3, nil, 0}}
	if diff := cmp.Diff(want, r.last); diff != "" {
		t.Error(diff)
	}
	if got := []int64{nr(t, root, 0, 2048), nr(t, root, 1, 2048), nr(t, root, 1, 1048576)}; !slices.Equal(got, []int64{15, 40, 3}) {
		t.Errorf("the pools have %d", got)
	}
	if r.calls[0] != "1:1 GiB may gain 2 GiB of now 1 GiB; " {
		t.Errorf("not on record before the pool grew: %q", r.calls[0])
	}
	global, _ := root.ReadInt("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
	if global != 40 {
		t.Errorf("the file for all nodes was written: %d", global)
	}
}

// A kernel without NUMA has the one file.
func TestGrowWithoutNUMA(t *testing.T) {
	root := fixture(t, "-- pools --\nall 2048 40 30 0 0 0\n")
	_, err := grown(t, t.Context(), root, []Need{{Size: pages.Size2MiB, Pages: 5}}, Effort{}, 0)
	n, _ := root.ReadInt("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
	if err != nil || n != 45 || File(root, 0, pages.Size2MiB) != "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages" {
		t.Errorf("%v, %d pages, by way of %s", err, n, File(root, 0, pages.Size2MiB))
	}
}

// What can't be written down is not done; what was done before is taken back.
func TestGrowUnrecorded(t *testing.T) {
	needs := []Need{{Nodes: []int{0}, Size: pages.Size2MiB, Pages: 5}, {Nodes: []int{0}, Size: pages.Size2MiB, Pages: 7}}
	for fail := 1; fail <= 4; fail++ {
		root := fixture(t, oneNode)
		r, err := grown(t, t.Context(), root, needs, Effort{}, fail)
		if !errors.Is(err, errDisk) || nr(t, root, 0, 2048) != 100 || len(r.last) != 0 {
			t.Errorf("call %d fails: %v, %d pages, on record %v\n%s", fail, err, nr(t, root, 0, 2048), r.last, strings.Join(r.calls, "\n"))
		}
		if fail == 1 && strings.Contains(strings.Join(r.calls, ""), "of now 210 MiB") {
			t.Errorf("the pool grew without a record: %q", r.calls)
		}
	}
}

func TestGrowRefused(t *testing.T) {
	for name, test := range map[string]struct {
		need Need
		want string
	}{
		"unknown node":                   {Need{Nodes: []int{3}, Size: pages.Size2MiB, Pages: 1}, "node 3 has no pool of pages of 2 MiB"},
		"unknown size on a node":         {Need{Nodes: []int{0}, Size: pages.SizeOfKiB(64), Pages: 1}, "node 0 has no pool of pages of 64 KiB"},
		"unknown size":                   {Need{Size: pages.SizeOfKiB(64), Pages: 9}, "9 more pages of 64 KiB are needed: 9 are missing, as the kernel can allocate 0"},
		"the size of another node alone": {Need{Nodes: []int{0}, Size: pages.Size1GiB, Pages: 1}, "node 0 has no pool of pages of 1 GiB"},
	} {
		root := fixture(t, twoNodes)
		// Something that works comes first, and is given back.
		r, err := grown(t, t.Context(), root, []Need{{Nodes: []int{1}, Size: pages.Size1GiB, Pages: 1}, test.need}, Effort{}, 0)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: %v", name, err)
		}
		if len(r.last) != 0 || nr(t, root, 0, 2048) != 10 || nr(t, root, 1, 1048576) != 1 || nr(t, root, 1, 2048) != 30 {
			t.Errorf("%s: left on record: %v, and %d, %d", name, r.last, nr(t, root, 1, 1048576), nr(t, root, 1, 2048))
		}
	}
}

func TestShortWords(t *testing.T) {
	err := &Short{Need: Need{Nodes: []int{0, 1}, Size: pages.Size2MiB, Pages: 2048}, Got: 310}
	if got, want := err.Error(), "2048 more pages of 2 MiB are needed on node 0-1: 1738 are missing, as the kernel can allocate 310"; got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
}

func TestGrowInterrupted(t *testing.T) {
	need := []Need{{Size: pages.Size2MiB, Pages: 5000}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	root := fixture(t, oneNode)
	if r, err := grown(t, ctx, root, need, Effort{}, 0); !errors.Is(err, context.Canceled) || nr(t, root, 0, 2048) != 100 || len(r.last) != 0 {
		t.Errorf("before: %v, %d pages, on record %v", err, nr(t, root, 0, 2048), r.last)
	}

	// In between two writes; 4 GiB is what one asks for.
	root = fixture(t, strings.ReplaceAll(oneNode, " 60 ", " 6000 "))
	ctx, cancel = context.WithCancel(t.Context())
	steps := 0
	r, err := grown(t, ctx, root, need, Effort{Progress: func(_ string, done, all int64) {
		if steps++; done != 4*pages.GiB || all != 10000*pages.MiB {
			t.Errorf("progress: %d of %d MiB", done/pages.MiB, all/pages.MiB)
		}
		cancel()
	}}, 0)
	if !errors.Is(err, context.Canceled) || steps != 1 || nr(t, root, 0, 2048) != 100 || len(r.last) != 0 {
		t.Errorf("in between: %v after %d steps, %d pages, on record %v", err, steps, nr(t, root, 0, 2048), r.last)
	}
}

func TestRelease(t *testing.T) {
	promised := func(n int64, nodes ...int) []Pending {
		return []Pending{{Take{Nodes: nodes, Size: pages.Size2MiB, Pages: n}, n, n, "", false}, {Take{Size: pages.Size1GiB, Pages: 1000}, 1000, 1000, "", false}}
	}
	for name, test := range map[string]struct {
		host      string
		grant     Grant
		pending   []Pending
		left, now int64
	}{
		"all of it":                  {oneNode, Grant{Size: pages.Size2MiB, Pages: 40}, nil, 0, 60},
		"what is free":               {oneNode, Grant{Size: pages.Size2MiB, Pages: 70}, nil, 10, 40},
		"not what is reserved":       {strings.Replace(oneNode, "all 2048 100 60 0", "all 2048 100 60 55", 1), Grant{Size: pages.Size2MiB, Pages: 40}, nil, 35, 95},
		"fewer in use than lost":     {strings.Replace(oneNode, "all 2048 100 60 0", "all 2048 100 60 18446744073709551575", 1), Grant{Size: pages.Size2MiB, Pages: 40}, nil, 40, 100},
		"as many in use as lost":     {strings.Replace(oneNode, "all 2048 100 60 0", "all 2048 100 60 18446744073709551576", 1), Grant{Size: pages.Size2MiB, Pages: 40}, nil, 0, 60},
		"not what others wait for":   {oneNode, Grant{Size: pages.Size2MiB, Pages: 40}, promised(25), 5, 65},
		"nor on this node":           {oneNode, Grant{Size: pages.Size2MiB, Pages: 40}, promised(25, 0), 5, 65},
		"but on another, as all can": {twoNodes, Grant{Node: 1, Size: pages.Size2MiB, Pages: 7}, promised(6, 0), 0, 10},
		"nothing":                    {oneNode, Grant{Size: pages.Size2MiB}, nil, 0, 100},
		"nothing is free":            {strings.ReplaceAll(oneNode, " 60 ", " 0 "), Grant{Size: pages.Size2MiB, Pages: 40}, nil, 40, 100},
		"what was surplus before":    {strings.ReplaceAll(oneNode, " 60 ", " 0 "), Grant{Size: pages.Size2MiB, Pages: 40, Surplus: 3}, nil, 37, 97},
		"not while a page is free":   {strings.Replace(oneNode, "all 2048 100 60 0", "all 2048 100 60 60", 1), Grant{Size: pages.Size2MiB, Pages: 40, Surplus: 3}, nil, 40, 100},
		"a node that is gone":        {oneNode, Grant{Node: 2, Size: pages.Size2MiB, Pages: 40}, nil, 40, 100},
	} {
		root := fixture(t, test.host)
		r := &recorder{t: t, root: root}
		kept, _, err := Release(root, []Grant{test.grant}, test.pending, r.record)
		must(t, err)
		left := int64(0)
		for _, g := range kept {
			left += g.Pages
		}
		if diff := cmp.Diff(kept, r.last); diff != "" {
			t.Errorf("%s: on record is something else: %s", name, diff)
		}
		if left != test.left || nr(t, root, 0, 2048) != test.now {
			t.Errorf("%s: %d left, and %d pages; not %d and %d", name, left, nr(t, root, 0, 2048), test.left, test.now)
		}
	}
}

// What can't be written down is not given back: the next run would do it again.
func TestReleaseUnrecorded(t *testing.T) {
	root := fixture(t, oneNode)
	grants := []Grant{{Size: pages.Size2MiB, Pages: 40}, {Size: pages.Size2MiB, Pages: 5}}
	r := &recorder{t: t, root: root, fail: 1}
	if _, _, err := Release(root, grants, nil, r.record); !errors.Is(err, errDisk) || nr(t, root, 0, 2048) != 100 {
		t.Errorf("%v, %d pages", err, nr(t, root, 0, 2048))
	}
}
