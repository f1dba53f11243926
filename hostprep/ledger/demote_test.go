package ledger

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

// withLarge is a host with pages of both sizes of which a few of the large ones are in use.
const withLarge = `
-- pools --
all 2048 2000 1900 0 0 0
all 1048576 4 3 1 0 0
0 2048 2000 1900 0
0 1048576 4 3 0
-- proc/sys/kernel/random/boot_id --
11111111-2222-3333-4444-555555555555
`

const demoteFiles = `-- sys/devices/system/node/node0/hugepages/hugepages-1048576kB/demote_size --
2048kB
-- sys/devices/system/node/node0/hugepages/hugepages-1048576kB/demote --

`

// What nobody has free is not split, and nothing is left of the try.
func TestDemoteRefused(t *testing.T) {
	for name, c := range map[string]struct {
		host string
		n    int64
		want string
	}{
		"before Linux 5.16": {withLarge, 1, "the kernel cannot split them"},
		"reserved":          {withLarge + demoteFiles, 3, "3 more pages of 1 GiB are needed on node 0: 1 is missing, as the kernel can allocate 2"},
		"by the kernel":     {withLarge + demoteFiles, 2, "the kernel has split fewer"},
	} {
		root := fixture(t, c.host, us())
		l := open(t, root)
		if err := l.Demote(0, pages.Size1GiB, c.n); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if f := files(t, root); len(f) > 0 {
			t.Errorf("%s: %v is left", name, f)
		}
		l.Close()
	}
}

// A vmhuge that is killed as it splits pages of somebody else's, or as it puts them together
// again, leaves a record from which the next one knows how many are split. What other claims
// have of the pool stays theirs.
func TestDemoteKilled(t *testing.T) {
	for split := range int64(3) { // that the kernel has split of the 2
		root := fixture(t, withLarge+demoteFiles, us())
		l := open(t, root)
		must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: []pool.Take{{Size: pages.Size1GiB, Pages: 1}}}))
		i := l.index(web1)
		c := l.claims[i]
		c.Grants = []pool.Grant{{Node: 0, Size: pages.Size1GiB, Pages: 1, Without: nil, Surplus: 0}} // of the 4
		must(t, l.expect(c.Grants))
		l.leave(0, pages.Size1GiB, -1)
		must(t, l.save(i, c))
		must(t, l.beginPrepared(nil))
		i = l.index(PreparedUUID)
		c = l.claims[i]
		from, before := int64(4), nr(t, root, 0, 2048)
		c.Grants = []pool.Grant{{Node: 0, Size: pages.Size2MiB, Pages: 1024, Without: &before, Surplus: 0}}
		c.Demoted = []Demotion{{0, pages.Size1GiB, 2, &from}}
		must(t, l.saveChange(i, c))
		l.lock.Close() // and is killed
		setLarge(t, root, 1048576, 4-split)
		setLarge(t, root, 2048, before+512*split)

		l = open(t, root)
		if len(l.SetAside) > 0 {
			t.Errorf("%d split: %v", split, l.SetAside)
		}
		c = l.claims[l.index(PreparedUUID)]
		want := []Demotion{{0, pages.Size1GiB, split, nil}}
		if split == 0 {
			want = nil
		}
		if diff := cmp.Diff(want, append([]Demotion(nil), c.Demoted...)); diff != "" {
			t.Errorf("%d split: %s", split, diff)
		}
		if got := pool.PagesIn(c.Grants); got != 512*split {
			t.Errorf("%d split: %d small pages are on record", split, got)
		}
		if got := *l.counts.of(0, pages.Size1GiB); got.Others != 3-split || got.Persistent != 4-split {
			t.Errorf("%d split: %+v is expected of the pool", split, got)
		}
		if c, err := l.read(l.claims[l.index(web1)]); err != nil || len(c.Grants) != 1 {
			t.Errorf("%d split: web1 has %v, %v", split, c.Grants, err)
		}
		l.Close()

		// The files of the fixture take any number, as a kernel with much memory.
		l = open(t, root)
		given, owed, err := l.Release(PreparedUUID)
		if err != nil || owed != 0 || given != split*pages.GiB || nr(t, root, 0, 1048576) != 4 || nr(t, root, 0, 2048) != before {
			t.Errorf("%d split: %v, %d given, %d owed, %d and %d pages", split, err, given, owed, nr(t, root, 0, 1048576), nr(t, root, 0, 2048))
		}
		if got := fmt.Sprint(l.Reassembled); split > 0 && got != fmt.Sprintf("[%s on node 0]", pages.Count(split, pages.Size1GiB)) {
			t.Errorf("%d split: %s", split, got)
		}
		l.Close()
	}
}

// setLarge sets the pool of node 0 as the kernel does.
func setLarge(t *testing.T, root hostfs.Root, kib int, n int64) {
	t.Helper()
	write(t, root.Path(fmt.Sprintf("sys/devices/system/node/node0/hugepages/hugepages-%dkB/nr_hugepages", kib)), fmt.Sprintln(n))
}
