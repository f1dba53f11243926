package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/prepare"
	"vmhuge/internal/pages"
)

// cmaKernel is a suite of Debian whose kernel for amd64 is built with CMA.
const cmaKernel = "trixie-backports"

// oneWithArea and twoWithAreas have areas for pages of 1 GiB on demand. With less memory
// the kernel finds no whole GiB for them at boot.
var (
	oneWithArea  = machine{nodes: 1, nodeMiB: 6144, kernel: "vmhuge.begin hugetlb_cma=2G vmhuge.end", suite: cmaKernel}
	twoWithAreas = machine{nodes: 2, nodeMiB: 4096, kernel: "hugetlb_cma=0:1G,1:1G", suite: cmaKernel}
)

// without is the machine without its areas.
func (m machine) without() machine {
	m.kernel = ""
	return m
}

// onDemandRounds is how many rounds `just on-demand` asks for; few: the tests run so many
// without it, and with 0 none.
func onDemandRounds(t *testing.T, few int) (rounds int, random *rand.Rand) {
	t.Helper()
	rounds = number(t, "ON_DEMAND_ROUNDS", few)
	if rounds == 0 {
		t.Skip("just on-demand runs it")
	}
	seed := number(t, "CHAOS_SEED", int(time.Now().UnixNano()%1e9))
	t.Logf("ON_DEMAND_ROUNDS=%d CHAOS_SEED=%d", rounds, seed)
	return rounds, rand.New(rand.NewPCG(uint64(seed), 0))
}

// roundsLimit is how long so many rounds may take. One takes 20 s, and a minute or two where
// other programs keep the processors busy.
func roundsLimit(rounds int) time.Duration { return time.Duration(rounds+6) * 5 * time.Minute }

// TestMicroVMOnDemand starts guests on pages of 1 GiB that the kernel takes from the area
// of hugetlb_cma=, while other programs use the area and have left memory in pieces.
func TestMicroVMOnDemand(t *testing.T) {
	rounds, random := onDemandRounds(t, 2)
	if !inMicroVM(t, oneWithArea.within(roundsLimit(rounds))) {
		return
	}
	hostAsBefore(t)
	t.Run("told", toldOfArea)
	prepareWrote(t, prepare.Options{Persist: true, OnDemand: []prepare.Area{{Node: -1, GiB: 2}}})
	refused(t, 2, []string{"whole GiB"}, "prepare", "--persist", "--on-demand", "1500M")
	for _, part := range sampled(t, []struct {
		name string
		run  func(t *testing.T)
	}{
		{"starts", func(t *testing.T) { everyTime(t, startsInPieces(t, random, rounds, 2, byHook, byVmhuge)) }},
		{"memory-limits", memoryLimits},
	}) {
		t.Run(part.name, part.run)
	}
}

// toldOfArea holds every command that shows memory to tell of the area.
func toldOfArea(t *testing.T) {
	name := nameOf(t, define(t, guest{memory: "<memory unit='GiB'>2</memory>", backing: pages1G}))
	for command, words := range map[string]string{
		"check":          "has an area of 2 GiB for pages of 1 GiB on demand",
		"status":         "area   2 GiB of CMA",
		"plan " + name:   "area: 2 GiB of it",
		"advise " + name: "the kernel's area for them",
		"metrics":        "\nvmhuge_memory_cma_bytes 2",
	} {
		if r := vmhuge(t, strings.Fields(command)...); !strings.Contains(r.Stdout, words) || strings.Contains(r.Stdout, "hugepagesz=1G") {
			t.Errorf("%s does not tell of the area: %d\n%s%s", command, r.Code, r.Stdout, r.Stderr)
		}
	}
	s := onScreen(t, topScript)
	s.shows("area   2 GiB of CMA")
	s.press("q")
	s.over()
}

// prepareWrote holds the options between vmhuge's marks, with which this machine was booted,
// to be those that prepare writes for this.
func prepareWrote(t *testing.T, want prepare.Options) {
	t.Helper()
	booted, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	_, ours, _ := strings.Cut(string(booted), "vmhuge.begin ")
	ours, _, _ = strings.Cut(ours, " vmhuge.end")
	findings, possible := prepare.Plan(host.Host{Root: hosttest.Unpack(t, "one-node", "-- proc/meminfo --\nMemTotal: 16384000 kB\nMemAvailable: 12288000 kB\nCmaTotal: 0 kB\nHugepagesize: 2048 kB\n"+
		"-- usr/sbin/grub-mkconfig --\n. default/grub.d\n-- etc/default/grub --\nGRUB_CMDLINE_LINUX_DEFAULT=quiet\n")}, want)
	if !possible || !slices.ContainsFunc(findings, func(f hostprep.Finding) bool { return f.Need == ours }) {
		t.Errorf("booted with %q, and prepare writes: %+v", ours, findings)
	}
}

// TestMicroVMOnDemandTwoNodes does so with an area on each of two nodes.
func TestMicroVMOnDemandTwoNodes(t *testing.T) {
	rounds, random := onDemandRounds(t, 0)
	if inMicroVM(t, twoWithAreas.within(roundsLimit(rounds))) {
		hostAsBefore(t)
		everyTime(t, startsInPieces(t, random, rounds, 1, byHook, byVmhuge))
	}
}

// TestMicroVMOnDemandWithout and its neighbour count for comparison how often the kernel
// finds the pages without an area.
func TestMicroVMOnDemandWithout(t *testing.T) {
	rounds, random := onDemandRounds(t, 0)
	if inMicroVM(t, oneWithArea.without().within(roundsLimit(rounds))) {
		startsInPieces(t, random, rounds, 2, byWrite, byCompaction)
	}
}

func TestMicroVMOnDemandTwoNodesWithout(t *testing.T) {
	rounds, random := onDemandRounds(t, 0)
	if inMicroVM(t, twoWithAreas.without().within(roundsLimit(rounds))) {
		startsInPieces(t, random, rounds, 1, byWrite, byCompaction)
	}
}

// TestMicroVMOnDemandCouldMake holds what is said of the area, however it is filled, to
// what the kernel then gives.
func TestMicroVMOnDemandCouldMake(t *testing.T) {
	rounds, random := onDemandRounds(t, 0)
	if !inMicroVM(t, oneWithArea.within(roundsLimit(rounds))) {
		return
	}
	hostAsBefore(t)
	promised, given := map[int64]int{}, map[int64]int{}
	for round := range 2 * rounds {
		memory := inPieces(t, random, 30+random.IntN(61), 1<<random.IntN(10)*small, 10+random.IntN(80))
		could, allowed := couldMake(t, pages.Size1GiB)
		now := grown(t, pages.Size1GiB, could.Now)
		t.Logf("filling %d: could make %d now, and the kernel made %d", round, could.Now, now)
		if now < could.Now {
			t.Errorf("could make %d now, it said, and the kernel made %d", could.Now, now)
		}
		if round%10 == 0 {
			most := grown(t, pages.Size1GiB, allowed)
			t.Logf("at most %d of %d; the kernel made %d", could.Compacted, allowed, most)
			if most > could.Compacted {
				t.Errorf("could make %d at most, it said, and the kernel made %d", could.Compacted, most)
			}
		}
		promised[could.Now]++
		given[now]++
		unmap(t, memory)
	}
	t.Logf("fillings by the pages that could be made now: %v; by those that were made: %v", promised, given)
}

// way is how pages of 1 GiB are asked for.
type way struct {
	name string
	try  func(t *testing.T, node, count int) error // and gives them back
}

var (
	byWrite      = way{"writing nr_hugepages", writeCount}
	byCompaction = way{"compacting first", func(t *testing.T, node, count int) error {
		t.Helper()
		if err := os.WriteFile("/proc/sys/vm/compact_memory", []byte("1"), 0); err != nil {
			return err
		}
		return writeCount(t, node, count)
	}}
	byHook = way{"the hook", func(t *testing.T, node, count int) error {
		t.Helper()
		dom, err := libvirtd.conn.LookupDomainByName(onDemandName(node))
		if err == nil {
			err = tryStartPaused(dom)
		}
		if err == nil {
			done(t, "verify", onDemandName(node))
			err = dom.Destroy()
		}
		return err
	}}
	byVmhuge = way{"vmhuge start", func(t *testing.T, node, count int) error {
		t.Helper()
		if r := vmhuge(t, "start", "--paused", onDemandName(node)); r.Code != 0 {
			return fmt.Errorf("exit code %d: %s", r.Code, r.Stderr)
		}
		stopNow(t, onDemandName(node))
		return nil
	}}
)

func writeCount(t *testing.T, node, count int) error {
	t.Helper()
	file := nodePoolDir(node, size1G) + "/nr_hugepages"
	if err := os.WriteFile(file, []byte(strconv.Itoa(count)), 0); err != nil {
		return err
	}
	got := readTestPools(t)[size1G].Nodes[node].Total
	if err := os.WriteFile(file, []byte("0"), 0); err != nil {
		return err
	}
	if got < count {
		return fmt.Errorf("%d of %d pages", got, count)
	}
	return nil
}

func onDemandName(node int) string { return fmt.Sprintf("%snode%d", guestPrefix, node) }

// startsInPieces asks in so many rounds for so many pages, on each node in turn and each way
// in turn, with memory in pieces, and returns how often each way did not get them. Between
// rounds, programs use the area. The guests are paused: one that runs takes the machine's
// processor from what is measured.
func startsInPieces(t *testing.T, random *rand.Rand, rounds, count int, ways ...way) map[string]int {
	t.Helper()
	installHook(t)
	nodes := len(readTestPools(t)[size1G].Nodes)
	for node := range nodes {
		define(t, guest{name: onDemandName(node), memory: fmt.Sprintf("<memory unit='GiB'>%d</memory>", count), backing: pages1G,
			more: fmt.Sprintf("<numatune><memory mode='strict' nodeset='%d'/></numatune>", node)})
	}
	got, tried, took := map[string]int{}, map[string]int{}, map[string]time.Duration{}
	memory := touched(t, 90)
	for round := range rounds {
		if held, area := scatter(t, random, memory, 16*small, 50), cma(t).TotalKiB*pages.KiB; held < area/2 {
			t.Errorf("programs that fill the memory use %s of the area of %s", pages.Amount(held), pages.Amount(area))
		}
		node, way := round/len(ways)%nodes, ways[round%len(ways)]
		began, used := time.Now(), usedArea(t)
		err := way.try(t, node, count)
		took[way.name] += time.Since(began)
		tried[way.name]++
		if err == nil {
			got[way.name]++
		}
		t.Logf("round %d, %s on node %d, with %s of the area in use: %v after %s", round, way.name, node, pages.Amount(used), err, time.Since(began).Round(100*time.Millisecond))
		for node, pool := range readTestPools(t)[size1G].Nodes {
			if pool.Total != 0 {
				t.Fatalf("%d pages are left on node %d", pool.Total, node)
			}
		}
	}
	for _, way := range ways {
		t.Logf("| %s | %d of %d | %s |", way.name, got[way.name], tried[way.name], (took[way.name] / time.Duration(max(1, tried[way.name]))).Round(100*time.Millisecond))
		tried[way.name] -= got[way.name]
	}
	return tried
}

// everyTime holds the tries that got no pages to be none.
func everyTime(t *testing.T, failed map[string]int) {
	t.Helper()
	for name, n := range failed {
		if n > 0 {
			t.Errorf("%s: %d times not all pages", name, n)
		}
	}
}

// inPieces takes so many percent of what is free, and gives a share of it back in pieces.
func inPieces(t *testing.T, random *rand.Rand, percent, piece, share int) []byte {
	t.Helper()
	memory := touched(t, percent)
	scatter(t, random, memory, piece, share)
	return memory
}

// scatter takes memory, with what was given back of it, and gives a share back, in percent,
// in pieces. It returns how much of the area was in use before that.
func scatter(t *testing.T, random *rand.Rand, memory []byte, piece, share int) (used int64) {
	t.Helper()
	populate(t, memory)
	used = usedArea(t)
	for at := 0; at+piece <= len(memory); at += piece {
		if random.IntN(100) < share {
			drop(t, memory[at:at+piece])
		}
	}
	t.Logf("%s taken, with %s of the area; %d %% given back in pieces of %s, now with %s of it",
		pages.Amount(int64(len(memory))), pages.Amount(used), share, pages.Amount(int64(piece)), pages.Amount(usedArea(t)))
	return used
}

// usedArea is how much of the areas for contiguous memory is in use.
func usedArea(t *testing.T) int64 {
	t.Helper()
	area := cma(t)
	return (area.TotalKiB - area.FreeKiB) * pages.KiB
}

// cma is the areas for contiguous memory; of a kernel without, they have nothing.
func cma(t *testing.T) host.CMA {
	t.Helper()
	mem, err := host.Host{Root: "/"}.Meminfo()
	if err != nil {
		t.Fatal(err)
	}
	if mem.CMA == nil {
		return host.CMA{}
	}
	return *mem.CMA
}
