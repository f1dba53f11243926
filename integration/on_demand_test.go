package integration

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"vmhuge/internal/pages"
)

// TestMicroVMOnDemand starts guests on pages of 1 GiB that the kernel takes from the area
// of hugetlb_cma=, while other programs use the area and have left memory in pieces. It
// needs a kernel that is built with CMA.
func TestMicroVMOnDemand(t *testing.T) {
	if os.Getenv("ON_DEMAND_ROUNDS") == "" {
		t.Skip("just on-demand runs it: it takes a kernel with CMA, and half an hour")
	}
	if !inMicroVM(t, machine{nodes: 1, nodeMiB: 8192, kernel: "hugetlb_cma=3G"}.within(3*time.Hour)) {
		return
	}
	rounds := number(t, "ON_DEMAND_ROUNDS", 0)
	seed := number(t, "CHAOS_SEED", int(time.Now().UnixNano()%1e9))
	t.Logf("ON_DEMAND_ROUNDS=%d CHAOS_SEED=%d", rounds, seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	hostAsBefore(t)
	if r := vmhuge(t, "check"); !strings.Contains(r.Stdout, "has an area of 3 GiB for pages of 1 GiB on demand") {
		t.Errorf("check does not tell of the area:\n%s", r.Stdout)
	}
	refused(t, 2, []string{"whole GiB"}, "prepare", "--persist", "--on-demand", "1500M")

	t.Run("could-make", func(t *testing.T) {
		for range max(1, rounds/5) {
			memory := inPieces(t, random)
			could, allowed := couldMake(t, pages.Size1GiB)
			now, most := grown(t, pages.Size1GiB, could.Now), grown(t, pages.Size1GiB, allowed)
			t.Logf("now %d, at most %d; the kernel made %d of the former, and %d at most", could.Now, could.Compacted, now, most)
			if now < could.Now || most > could.Compacted {
				t.Errorf("could make %d now and %d at most, it said, and the kernel made %d and %d", could.Now, could.Compacted, now, most)
			}
			unmap(t, memory)
		}
	})

	t.Run("starts", func(t *testing.T) {
		installHook(t)
		dom := define(t, guest{memory: "<memory unit='GiB'>2</memory>", backing: pages1G})
		name := domainName(t)
		var memory []byte
		for round := range rounds {
			if round%5 == 0 {
				if memory != nil {
					unmap(t, memory)
				}
				memory = inPieces(t, random)
			}
			began := time.Now()
			if round%2 == 0 {
				done(t, "start", name)
			} else {
				start(t, dom)
			}
			t.Logf("round %d: started after %s", round, time.Since(began).Round(100*time.Millisecond))
			done(t, "verify", name)
			stopNow(t, name)
			if total := readTestPools(t)[size1G].Nodes[0].Total; total != 0 {
				t.Fatalf("%d pages are left", total)
			}
		}
	})
}

// inPieces takes most of what is free, and gives two thirds of it back in pieces.
func inPieces(t *testing.T, random *rand.Rand) []byte {
	t.Helper()
	const piece = 16 * small
	memory := touched(t, 90)
	for at := 0; at+piece <= len(memory); at += piece {
		if random.IntN(3) > 0 {
			drop(t, memory[at:at+piece])
		}
	}
	return memory
}
