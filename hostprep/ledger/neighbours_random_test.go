package ledger

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// TestRewrittenAtRandom has guests come and go on two nodes, vmhuge killed, and another
// program set the pools, in any order, by a number for a node or for both. At the end each pool
// is what was last asked for.
func TestRewrittenAtRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	host := strings.NewReplacer("40 30 5 4 8", "400 9999 0 0 0", "10 6 4", "100 9999 0", "30 24 0", "300 9999 0").Replace(twoNodes)
	for range 15 {
		root := fixture(t, host, us(), "-- proc/meminfo --\nHugepagesize:       2048 kB\n")
		want, killed := map[int]int64{0: 100, 1: 300}, false
		var log []string
		for step := range 25 {
			uuid, node, n := web1[:35]+strconv.Itoa(random.IntN(4)), random.IntN(2), int64(1+random.IntN(30))
			if random.IntN(2) == 0 {
				age(t, root)
			}
			if random.IntN(8) == 0 && !killed && pool.Marked(root, node, pages.Size2MiB) {
				want[node], want[1-node] = int64(1000*(step+1))+n, nr(t, root, 1-node, 2048)
				forHost(t, root, node, want[node], 9999)
				open(t, root).Close()
				log = append(log, fmt.Sprintf("both set, which makes %v", want))
				continue
			}
			if random.IntN(4) == 0 {
				// A number that nobody has had: another one could not be seen.
				want[node] = int64(1000*(step+1)) + n
				file := fmt.Sprintf("sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages", node)
				must(t, root.WriteInt(want[node], file))
				log = append(log, fmt.Sprintf("node %d set to %d", node, want[node]))
				continue
			}
			l, err := Open(t.Context(), root)
			must(t, err)
			what := "grows"
			if l.index(uuid) < 0 || random.IntN(2) == 0 {
				must(t, l.Begin(Claim{UUID: uuid, Name: "x", Owner: owner(), Takes: []pool.Take{}}))
				growOrDie(t, l, uuid, pool.Need{Nodes: []int{node}, Size: pages.Size2MiB, Pages: n}, random.IntN(4) == 0)
			} else {
				what = "ends"
				_, _, err := l.Release(uuid)
				must(t, err)
			}
			killed = true
			if l.lock == nil {
				what += ", and vmhuge is killed in between"
			} else if random.IntN(3) == 0 {
				what += ", and vmhuge is killed"
				must(t, l.lock.Close())
			} else {
				killed = false
				l.Close()
			}
			log = append(log, fmt.Sprintf("%s %s by %d on node %d: %d, %d", uuid[35:], what, n, node, nr(t, root, 0, 2048), nr(t, root, 1, 2048)))
		}
		l, err := Open(t.Context(), root)
		must(t, err)
		for i := range 4 {
			_, _, err := l.Release(web1[:35] + strconv.Itoa(i))
			must(t, err)
		}
		l.Close()
		for node, n := range want {
			if got := nr(t, root, node, 2048); got != n {
				t.Fatalf("seed %d: node %d has %d pages, not %d\n%s", seed, node, got, n, strings.Join(log, "\n"))
			}
		}
	}
}

// growOrDie grows a pool, or has vmhuge killed when the pool is written and nothing more.
func growOrDie(t *testing.T, l *Ledger, uuid string, need pool.Need, die bool) {
	t.Helper()
	defer func() {
		if die {
			_ = recover()
			_ = l.lock.Close()
			l.lock, l.claims = nil, nil
		}
	}()
	must(t, l.Grow(t.Context(), uuid, []pool.Need{need}, pool.Effort{Progress: func(string, int64, int64) {
		if die {
			panic("killed")
		}
	}}))
}
