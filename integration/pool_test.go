package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Page sizes, in KiB as in sysfs and in libvirt's XML.
const (
	size2M = 2048
	size1G = 1048576
)

// pools are the kernel's counters, by page size in KiB and by node.
type pools map[int]pool

type pool struct {
	Reserved   int // promised to a mapping, not yet handed out; known only for all nodes together
	Overcommit int
	Nodes      map[int]nodePool
}

type nodePool struct{ Total, Free, Surplus int }

const (
	poolDir   = "/sys/kernel/mm/hugepages"
	nodesGlob = "/sys/devices/system/node/node[0-9]*"
)

func nodePoolDir(node, kib int) string {
	return fmt.Sprintf("/sys/devices/system/node/node%d/hugepages/hugepages-%dkB", node, kib)
}

func readPools() (pools, error) {
	nodes, err := filepath.Glob(nodesGlob)
	if err != nil {
		return nil, err
	}
	sizes, err := filepath.Glob(poolDir + "/hugepages-*kB")
	if err != nil {
		return nil, err
	}
	all := pools{}
	for _, dir := range sizes {
		kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(dir), "hugepages-"), "kB"))
		if err != nil {
			return nil, err
		}
		p := pool{Nodes: map[int]nodePool{}}
		err = errors.Join(
			readNumber(dir+"/resv_hugepages", &p.Reserved),
			readNumber(dir+"/nr_overcommit_hugepages", &p.Overcommit))
		for _, path := range nodes {
			node, nodeErr := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), "node"))
			dir := nodePoolDir(node, kib)
			// Of a QEMU that ends meanwhile one file would be of before, and another of after.
			for was := (nodePool{Total: -1}); was != p.Nodes[node] && err == nil; {
				was = p.Nodes[node]
				var n nodePool
				err = errors.Join(nodeErr,
					readNumber(dir+"/nr_hugepages", &n.Total),
					readNumber(dir+"/free_hugepages", &n.Free),
					readNumber(dir+"/surplus_hugepages", &n.Surplus))
				p.Nodes[node] = n
			}
		}
		if err != nil {
			return nil, err
		}
		all[kib] = p
	}
	return all, nil
}

func readNumber(path string, n *int) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// A count that the kernel lets fall below 0 is printed without its sign.
	without, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	*n = int(without)
	return err
}

func readTestPools(t *testing.T) pools {
	t.Helper()
	p, err := readPools()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// used returns the pages in use or promised, by size.
func (p pools) used() pageCount {
	n := pageCount{}
	for kib, pool := range p {
		n[kib] = pool.Reserved
		for _, node := range pool.Nodes {
			n[kib] += node.Total - node.Free
		}
	}
	return n
}

// pageCount counts pages by their size in KiB.
type pageCount map[int]int

// nonZero leaves out the sizes of which there are none.
func (c pageCount) nonZero() pageCount {
	n := pageCount{}
	for kib, pages := range c {
		if pages != 0 {
			n[kib] = pages
		}
	}
	return n
}

// takenPages runs f and returns how many more pages the kernel has given after it.
func takenPages(t *testing.T, f func()) pageCount {
	t.Helper()
	before := readTestPools(t).used()
	f()
	taken := readTestPools(t).used()
	for kib := range taken {
		taken[kib] -= before[kib]
	}
	return taken.nonZero()
}

// setPages makes n pages of a node's pool free for the rest of the test. Pages
// that others have in use on this machine stay theirs.
func setPages(t *testing.T, node, kib, n int) {
	t.Helper()
	if kib == size1G {
		need1G(t)
	}
	switch err := trySetPages(t, node, kib, n); {
	case err != nil && kib == size1G && !isMicroVM(t):
		t.Skipf("%v: this machine's memory is too fragmented: TestMicroVMPagesOf1GiB runs it", err)
	case err != nil:
		t.Fatal(err)
	}
}

// trySetPages is setPages for pages of 1 GiB that the test can do without.
func trySetPages(t *testing.T, node, kib, n int) error {
	t.Helper()
	p := readTestPools(t)[kib]
	more := n - (p.Nodes[node].Free - p.Reserved)
	if kib == size1G && more < 0 { // given back, the kernel may not find a whole GiB again
		use(t, node, kib, -more)
		return nil
	}
	if err := addPages(scratch, node, kib, more); err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := addPages(scratch, node, kib, -more); err != nil {
			t.Error(err)
		}
	})
	return nil
}

// addPages changes a pool by an amount, so that what others do to it meanwhile
// stands. The amount is written down first: should the tests be killed, their
// outer process takes it back.
func addPages(dir string, node, kib, more int) error {
	if err := recordPages(dir, node, kib, more); err != nil {
		return err
	}
	var before int
	if err := readNumber(nodePoolDir(node, kib)+"/nr_hugepages", &before); err != nil {
		return err
	}
	err := writePages(node, kib, max(before+more, 0)) // somebody else may have taken ours
	if err != nil {
		return errors.Join(err, writePages(node, kib, before), recordPages(dir, node, kib, -more))
	}
	return nil
}

func recordPages(dir string, node, kib, more int) error {
	file, err := os.OpenFile(pagesRecord(dir), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, node, kib, more)
	return errors.Join(err, file.Close())
}

func pagesRecord(dir string) string { return filepath.Join(dir, "pages") }

// takeBackPages undoes what killed tests could not.
func takeBackPages(dir string) error {
	data, err := os.ReadFile(pagesRecord(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	type place struct{ node, kib int }
	added := map[place]int{}
	for line := range strings.Lines(string(data)) {
		var at place
		var more int
		if _, err := fmt.Sscan(line, &at.node, &at.kib, &more); err != nil {
			return fmt.Errorf("%s: %q: %w", pagesRecord(dir), line, err)
		}
		added[at] += more
	}
	for at, pages := range added {
		if pages != 0 {
			err = errors.Join(err, addPages(dir, at.node, at.kib, -pages))
		}
	}
	return err
}

// setOvercommit sets how many pages the pools may have beyond those that they
// were told to: none for the tests, whatever the machine has.
func setOvercommit(all pools, limit func(pool) int) (err error) {
	for kib, p := range all {
		path := fmt.Sprintf("%s/hugepages-%dkB/nr_overcommit_hugepages", poolDir, kib)
		var now int
		if err = errors.Join(err, readNumber(path, &now)); now != limit(p) {
			err = errors.Join(err, os.WriteFile(path, []byte(strconv.Itoa(limit(p))), 0))
		}
	}
	return err
}

// has1G says whether processor and kernel have pages of 1 GiB.
func has1G() bool {
	_, err := os.Stat(fmt.Sprintf("%s/hugepages-%dkB", poolDir, size1G))
	return err == nil
}

// need1G leaves a test without pages of 1 GiB to TestMicroVMPagesOf1GiB, whose
// processor has them.
func need1G(t *testing.T) {
	t.Helper()
	if !has1G() {
		t.Skip("this processor has no pages of 1 GiB (pdpe1gb): TestMicroVMPagesOf1GiB runs it")
	}
}

// writePages sets a node's pool. The kernel takes any number and then does what
// it can; compacting memory lets it do more.
func writePages(node, kib, n int) error {
	path := nodePoolDir(node, kib) + "/nr_hugepages"
	deadline := time.Now().Add(2 * time.Minute)
	for {
		if err := os.WriteFile(path, []byte(strconv.Itoa(n)), 0); err != nil {
			return err
		}
		var got int
		if err := readNumber(path, &got); err != nil {
			return err
		}
		if got == n {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: wrote %d, the kernel made it %d", path, n, got)
		}
		// The next round shows whether this helped.
		_ = os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
		_ = os.WriteFile("/proc/sys/vm/compact_memory", []byte("1"), 0)
	}
}

// poolsAsBefore is the last check, when nothing of the tests is left.
func poolsAsBefore(before pools) error {
	after, err := readPools()
	if err != nil {
		return err
	}
	if diff := cmp.Diff(before, after); diff != "" {
		return fmt.Errorf("the page pools are not as before; was it the tests, or somebody else? (-before +after)\n%s", diff)
	}
	return nil
}
