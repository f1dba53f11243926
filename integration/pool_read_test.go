package integration

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	hugetlb "vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// TestPoolWhileSurplusEnds reads a pool while a process takes surplus pages and ends, as a
// guest's QEMU does: never is there a count that nobody has set.
func TestPoolWhileSurplusEnds(t *testing.T) {
	hostAsBefore(t)
	overcommit(64)(t)
	want := readTestPools(t)[size2M].Nodes[0]
	ended := make(chan struct{})
	var other sync.WaitGroup
	other.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
			}
			mem, err := unix.Mmap(-1, 0, (want.Free+32)*size2M*1024, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_HUGETLB|unix.MAP_POPULATE)
			if err != nil {
				t.Error(err)
				return
			}
			_ = unix.Munmap(mem)
		}
	})
	surplus := false
	for range 5000 {
		state, err := hugetlb.Read("/")
		if err != nil {
			t.Fatal(err)
		}
		p, _ := state.Pool(0, pages.Size2MiB)
		surplus = surplus || p.Surplus > 0
		if p.Persistent() != int64(want.Total-want.Surplus) {
			t.Errorf("nobody sets the pool of %+v, and it reads %+v", want, p)
			break
		}
	}
	close(ended)
	other.Wait()
	if !surplus {
		t.Error("there was no surplus")
	}
}
