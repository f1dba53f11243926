package plan

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
	"vmhuge/xml"
)

// onPages is a guest of so many pages, bound to a node, or with -1 to none.
func onPages(name string, count int64, size pages.Size, node int) hostprep.Candidate {
	item := pages.Item{GuestNode: -1, Kind: pages.RAM, PageSize: size, Pages: count, MemoryKiB: count * size.KiB()}
	c := hostprep.Candidate{Name: name, UUID: name, Traits: pages.Traits{MemoryKiB: item.MemoryKiB, CurrentKiB: item.MemoryKiB, VCPUs: 1}}
	c.Demand = pages.Demand{Domain: name, Type: "qemu", Backing: pages.Hugetlb}
	if node >= 0 {
		item.HostNodes, item.Mode = fmt.Sprint(node), pages.Strict
		c.Demand.CPUSetNodes = item.HostNodes
	}
	c.Demand.Items = []pages.Item{item}
	return c
}

// onMemory is a guest of so many MiB on small pages.
func onMemory(name string, mib int64) hostprep.Candidate {
	return hostprep.Candidate{Name: name, UUID: name, Demand: pages.Demand{Domain: name, Type: "qemu", Items: []pages.Item{}},
		Traits: pages.Traits{MemoryKiB: mib << 10, CurrentKiB: mib << 10, VCPUs: 1}}
}

func TestPlan(t *testing.T) {
	const m2, g1 = pages.Size2MiB, pages.Size1GiB
	runs := onPages("web1", 1<<20, m2, -1)
	runs.Runs = true
	balloon := onMemory("web1", 1024)
	balloon.Traits.Balloon, balloon.Traits.CurrentKiB = true, 512<<10
	for name, test := range map[string]struct {
		host    string
		guests  []hostprep.Candidate
		reserve int64
		first   string
		move    []string
		why     string // of the first
		set     []string
	}{
		// 1200 pages are free, and the pools may grow: 16000 − 2048 − 4096 MiB.
		"free pages": {"one-node", []hostprep.Candidate{onPages("web1", 1200, m2, -1)}, 0, "", nil, "", []string{"vm.nr_hugepages = 2048"}},
		"all there is": {"one-node", []hostprep.Candidate{onPages("web1", 1200, m2, -1), onPages("db1", 4928, m2, -1)}, 0, "", nil, "",
			[]string{"vm.nr_hugepages = 6976"}},
		"a page too much": {"one-node", []hostprep.Candidate{onPages("web1", 1200, m2, -1), onPages("db1", 4929, m2, -1)}, 0, "db1", []string{"web1"},
			"4929 more pages of 2 MiB are needed: 1 is missing, as the host can spare 4928: it keeps 2 GiB for itself", []string{"vm.nr_hugepages = 5777"}},
		"a larger reserve": {"one-node", []hostprep.Candidate{onPages("web1", 1201, m2, -1)}, 15 * pages.GiB, "web1", []string{"web1"},
			"1 more page of 2 MiB is needed: 1 is missing", nil},
		"the fewest": {"one-node", []hostprep.Candidate{onPages("a", 2000, m2, -1), onPages("b", 2000, m2, -1), onPages("c", 2000, m2, -1), onPages("d", 2000, m2, -1), onPages("e", 4000, m2, -1)}, 0,
			"d", []string{"d", "e"}, "2000 more pages", nil},
		"both sizes": {"one-node", []hostprep.Candidate{onPages("web1", 1, g1, -1), onPages("db1", 1300, m2, -1)}, 0, "", nil, "",
			[]string{"vm.nr_hugepages = 2148", "hugepagesz=1G hugepages=1"}},
		"no such pages": {"no-1g", []hostprep.Candidate{onPages("web1", 1, g1, -1)}, 0, "web1", []string{"web1"}, "the host has no pages of 1 GiB", nil},
		"what runs":     {"one-node", []hostprep.Candidate{runs}, 0, "", nil, "", []string{"vm.nr_hugepages = 2048"}},
		"small pages":   {"one-node", []hostprep.Candidate{onMemory("web1", 9821)}, 0, "", nil, "", nil},
		"too much on small pages": {"one-node", []hostprep.Candidate{onMemory("web1", 9822)}, 0, "web1", []string{"web1"},
			"9857 MiB of ordinary memory is needed, 1 MiB more than the host can give", nil},
		"small pages leave less for large ones": {"one-node", []hostprep.Candidate{onMemory("web1", 8000), onPages("db1", 4000, m2, -1)}, 0, "db1", []string{"db1"}, "2800 more pages", nil},

		"each on its node": {"two-nodes", []hostprep.Candidate{onPages("web1", 300, m2, 0), onPages("db1", 900, m2, 1)}, 0, "", nil, "",
			[]string{"echo 1024 > /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "echo 1024 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages"}},
		"a GiB on each": {"two-nodes", []hostprep.Candidate{onPages("web1", 1, g1, 0), onPages("db1", 2, g1, 1)}, 0, "", nil, "", []string{"hugepagesz=1G hugepages=0:1,1:2"}},
		// A node gives what is free and cached less its share of the reserve.
		"a full node": {"node0-full", []hostprep.Candidate{onPages("web1", 1000, m2, 1), onPages("db1", 10, m2, 0)}, 0, "db1", []string{"db1"},
			"10 more pages of 2 MiB are needed on node 0: 10 are missing, as the host can spare 0: it keeps 256 MiB for itself", nil},
		"no such node": {"one-node", []hostprep.Candidate{onPages("web1", 10, m2, 1)}, 0, "web1", []string{"web1"}, "node 1, which <numatune> names, does not exist: the host has node 0; needed: a node that exists", nil},
		"ballooned":    {"one-node", []hostprep.Candidate{balloon}, 0, "", nil, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := Make(host.Host{Root: hosttest.Unpack(t, test.host, "")}, test.guests, test.reserve)
			if err != nil {
				t.Fatal(err)
			}
			if plan.FirstFailure != test.first || plan.Fits != (test.first == "") {
				t.Errorf("%q fails first, not %q", plan.FirstFailure, test.first)
			}
			slices.Sort(plan.Move)
			slices.Sort(test.move)
			if diff := cmp.Diff(test.move, plan.Move); diff != "" {
				t.Errorf("to move: %s", diff)
			}
			for _, g := range plan.Guests {
				if g.Name == test.first && (!strings.HasPrefix(g.Why, test.why) || g.Fits) {
					t.Errorf("it says %q, not %q", g.Why, test.why)
				}
			}
			if (len(plan.Lacks) > 0) != (!plan.Fits && !strings.HasPrefix(test.why, "the host has n") && !strings.HasPrefix(test.why, "node 1, which")) {
				t.Errorf("the host lacks %+v", plan.Lacks)
			}
			var set []string
			for _, s := range plan.Settings {
				set = append(set, s.Text)
			}
			if diff := cmp.Diff(test.set, set); test.set != nil && diff != "" {
				t.Errorf("settings: %s", diff)
			}
		})
	}
}

func TestPlanMemory(t *testing.T) {
	swaps := "-- proc/swaps --\nFilename Type Size Used Priority\n/dev/sda2 partition 4194304 1048576 -2\n-- sys/kernel/mm/ksm/run --\n1\n-- sys/kernel/mm/ksm/pages_sharing --\n1024\n"
	plain, huge := onMemory("a", 1024), onPages("b", 512, pages.Size2MiB, -1)
	plain.Traits.Balloon, plain.Traits.CurrentKiB = true, 768<<10
	huge.Traits.Balloon, huge.Traits.CurrentKiB = true, 512<<10
	plan, err := Make(host.Host{Root: hosttest.Unpack(t, "one-node", swaps)}, []hostprep.Candidate{plain, huge, onMemory("c", 20000)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	const mib = 1 << 10
	left := plan.Memory.LeftKiB
	want := Memory{TotalKiB: 16000 * mib, ReserveKiB: 2048 * mib, HeadroomKiB: 9856 * mib, LeftKiB: left,
		GuestsKiB: 22048 * mib, ReservedKiB: 1024 * mib, PlainKiB: 21024 * mib, OverheadKiB: 105 * mib, BalloonKiB: 256 * mib, BalloonLostKiB: 512 * mib,
		KSMKiB: 4 * mib, SwapKiB: 4096 * mib, SwapFreeKiB: 3072 * mib, SwapWantedKiB: (4096 + 20035 - (9856 - 1024 - 35)) * mib}
	if diff := cmp.Diff(want, plan.Memory); diff != "" {
		t.Error(diff)
	}
}

// Counts of small pages are counts of the host's own, whatever the default huge
// page is.
func TestPlanSmallPages(t *testing.T) {
	const ksm, pmd = "-- sys/kernel/mm/ksm/run --\n1\n-- sys/kernel/mm/ksm/pages_sharing --\n1024\n", "-- sys/kernel/mm/transparent_hugepage/hpage_pmd_size --\n"
	for _, test := range []struct {
		host, edits string
		smallKiB    int64
	}{
		{"one-node", "", 4},
		{"arm64-64k", "", 64},
		{"arm64-64k", pmd + "536870912\n", 64},
		{"one-node", pmd + "2097152\n-- proc/meminfo --\nMemTotal: 16384000 kB\nMemAvailable: 12288000 kB\nHugepagesize: 1048576 kB\n", 4},
	} {
		h := host.Host{Root: hosttest.Unpack(t, test.host, ksm+test.edits)}
		kvm := onMemory("a", 1024)
		kvm.Demand.Type, kvm.Traits.VCPUs = "kvm", 1
		plan, err := Make(h, []hostprep.Candidate{kvm}, 0)
		hosttest.Must(t, err)
		small, err := h.SmallPage()
		hosttest.Must(t, err)
		tables := 1 << 20 / test.smallKiB * 8 / 1024
		if plan.Memory.KSMKiB != 1024*test.smallKiB || plan.Guests[0].OverheadKiB != 38<<10+tables || small.KiB() != test.smallKiB {
			t.Errorf("%s %s: KSM saves %d KiB, QEMU needs %d KiB, and pages are of %s", test.host, test.edits,
				plan.Memory.KSMKiB, plan.Guests[0].OverheadKiB, small)
		}
	}
	if small, err := (host.Host{Root: "/"}).SmallPage(); err != nil || small != pages.Size(os.Getpagesize()) {
		t.Errorf("this host's are of %s, %v", small, err)
	}
}

// The numbers that guides for huge pages give.
func TestPlanNumbers(t *testing.T) {
	const none = "-- pools --\nall 2048 0 0 0 0 0\n0 2048 0 0 0\n"
	for gib, want := range map[int64]int64{32: 30, 256: 252} {
		host := host.Host{Root: hosttest.Unpack(t, "one-node", fmt.Sprintf("%s-- proc/meminfo --\nMemTotal: %d kB\nMemAvailable: %[2]d kB\nHugepagesize: 2048 kB\n"+
			"-- sys/devices/system/node/node0/meminfo --\nNode 0 MemTotal: %[2]d kB\nNode 0 MemFree: %[2]d kB\n", none, gib<<20))}
		for pages2M, mib := range map[int64]string{256: "512", 1024: "2048"} {
			demand := onXML(t, "<memory unit='MiB'>"+mib+"</memory>")
			plan, err := Make(host, []hostprep.Candidate{demand}, 0)
			if err != nil || plan.Memory.HeadroomKiB != want<<20 || plan.Needs[0].Pages != pages2M || !plan.Fits {
				t.Errorf("%d GiB: %+v, %v", gib, plan, err)
			}
		}
	}
}

func onXML(t *testing.T, memory string) hostprep.Candidate {
	t.Helper()
	doc := []byte("<domain type='kvm'><name>web1</name>" + memory + "<memoryBacking><hugepages><page size='2' unit='M'/></hugepages></memoryBacking></domain>")
	demand, err := xml.Demand(doc, 0)
	hosttest.Must(t, err)
	traits, err := xml.Traits(doc)
	hosttest.Must(t, err)
	return hostprep.Candidate{Name: demand.Domain, Demand: demand, Traits: traits}
}

// Guests that the plan says fit all start in turn, and the guest that it names
// is the first that does not: shown on paper here, and with real guests in
// integration.
func TestPlanProperty(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	hosts := []host.Host{{Root: hosttest.Unpack(t, "one-node", "")}, {Root: hosttest.Unpack(t, "two-nodes", "")}, {Root: hosttest.Unpack(t, "node0-full", "")}}
	for n := range 200 {
		host := hosts[n%len(hosts)]
		nodes, err := host.Nodes()
		if err != nil {
			t.Fatal(err)
		}
		var guests []hostprep.Candidate
		for i := range 1 + random.IntN(8) {
			c := onPages(fmt.Sprint("g", i), 1+random.Int64N(3000), pages.Size2MiB, random.IntN(len(nodes)+1)-1)
			if random.IntN(5) == 0 {
				c = onMemory(c.Name, 1+random.Int64N(6000))
			}
			guests = append(guests, c)
		}
		reserve := random.Int64N(8 * pages.GiB)
		plan, err := Make(host, guests, reserve)
		if err != nil {
			t.Fatal(err)
		}
		// What the host has is never counted twice, whichever start fails.
		paper, err := rehearse(host, reserve)
		if err != nil {
			t.Fatal(err)
		}
		first := ""
		for _, c := range guests {
			held := pool.Headroom(paper.state, paper.total, paper.available, paper.reserve, 0)
			was := paper.state.Globals[0]
			why := paper.start(c, false)
			now := paper.state.Globals[0]
			if why != "" && first == "" {
				first = c.Name
			}
			taken := (was.Free - now.Free) + (now.Total - was.Total)
			if want := total(c.Demand); why == "" && taken != want || why != "" && (taken != 0 || now != was) {
				t.Errorf("seed %d, set %d: %s takes %d pages (%s)", seed, n, c.Name, taken, why)
			}
			if grown := (now.Total - was.Total) * int64(now.Size); grown > held {
				t.Errorf("seed %d, set %d: for %s the pools grow %d bytes, and may %d", seed, n, c.Name, grown, held)
			}
			var sum pool.Global
			for _, p := range paper.state.Pools {
				if p.Size == now.Size {
					sum.Total, sum.Free = sum.Total+p.Total, sum.Free+p.Free
				}
				if p.Free < 0 {
					t.Errorf("seed %d, set %d: %+v", seed, n, p)
				}
			}
			if sum.Total != now.Total || sum.Free != now.Free {
				t.Errorf("seed %d, set %d: the nodes have %+v, not %+v", seed, n, sum, now)
			}
		}
		if plan.FirstFailure != first {
			t.Errorf("seed %d, set %d: the plan names %q, and %q is the first", seed, n, plan.FirstFailure, first)
		}
		stay := slices.DeleteFunc(slices.Clone(guests), func(c hostprep.Candidate) bool { return slices.Contains(plan.Move, c.Name) })
		if rest, err := Make(host, stay, reserve); err != nil || !rest.Fits {
			t.Errorf("seed %d, set %d: without %v %q does not fit, %v", seed, n, plan.Move, rest.FirstFailure, err)
		}
	}
}

func total(d pages.Demand) (n int64) {
	for _, t := range d.Totals() {
		n += t.Pages
	}
	return n
}

// On s390x KVM takes huge pages only if its module was loaded so.
func TestPlanWithoutHPage(t *testing.T) {
	const mib = pages.Size(pages.MiB)
	kvm, emulated := onPages("web1", 8, mib, -1), onPages("web2", 8, mib, -1)
	kvm.Demand.Type = "kvm"
	for hpage, why := range map[string]string{"0": "the module kvm was loaded without hpage=1", "1": ""} {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- pools --\nall 1024 512 512 0 0 0\n0 1024 512 512 0\n-- sys/module/kvm/parameters/hpage --\n"+hpage+"\n")}
		p, err := Make(h, []hostprep.Candidate{kvm, emulated}, 0)
		if err != nil || p.Guests[0].Why != why || p.Guests[1].Why != "" {
			t.Errorf("hpage=%s: %+v, %v", hpage, p.Guests, err)
		}
	}
}

// Where the kernel keeps areas for pages of 1 GiB on demand it skips those of hugepages=: a
// setting is only there where an area is too small.
func TestSettingsBesideAnArea(t *testing.T) {
	const meminfo = "-- proc/meminfo --\nMemTotal: 32000000 kB\nMemAvailable: 29000000 kB\nHugepagesize: 2048 kB\nCmaTotal: 4194304 kB\nCmaFree: 4194304 kB\n"
	for _, test := range []struct {
		host, area string
		guests     []hostprep.Candidate
		want       []Setting
	}{
		{"one-node", "4G", []hostprep.Candidate{onPages("a", 4, pages.Size1GiB, -1)}, nil},
		{"one-node", "4G", []hostprep.Candidate{onPages("a", 5, pages.Size1GiB, -1)}, []Setting{{"kernel", "hugetlb_cma=5G"}}},
		{"two-nodes", "4G", []hostprep.Candidate{onPages("a", 2, pages.Size1GiB, 1)}, nil},
		{"two-nodes", "4G", []hostprep.Candidate{onPages("a", 3, pages.Size1GiB, 1)}, []Setting{{"kernel", "hugetlb_cma=0:2G,1:3G"}}},
		{"two-nodes", "0:4G", []hostprep.Candidate{onPages("a", 2, pages.Size1GiB, 1)}, []Setting{{"kernel", "hugetlb_cma=0:4G,1:2G"}}},
		{"two-nodes", "1:4G", []hostprep.Candidate{onPages("a", 4, pages.Size1GiB, 1)}, nil},
	} {
		plan, err := Make(host.Host{Root: hosttest.Unpack(t, test.host, meminfo+"-- proc/cmdline --\nhugetlb_cma="+test.area+"\n")}, test.guests, 0)
		if diff := cmp.Diff(test.want, plan.Settings); err != nil || !plan.Fits || diff != "" || plan.Memory.AreaKiB != 4<<20 {
			t.Errorf("%s, %s, %s: %v, %+v", test.host, test.area, test.guests[0].Demand.Items[0].HostNodes, err, plan)
		}
	}
}

// Where the kernel frees the page structs of pages that are added, more of them fit, and
// what is left is as much as another look at the host would find.
func TestPlanFreesStructs(t *testing.T) {
	const frees = "-- proc/sys/vm/hugetlb_optimize_vmemmap --\n1\n"
	fit := func(edits string, count int64) Plan {
		plan, err := Make(host.Host{Root: hosttest.Unpack(t, "one-node", edits)}, []hostprep.Candidate{onPages("a", 1200+count, pages.Size2MiB, -1)}, 0)
		hosttest.Must(t, err)
		return plan
	}
	// The pools may grow by 4928 pages of 2 MiB, and each needs 28 KiB less than that.
	const more = 4928 * 28 / (2048 - 28)
	for count, edits := range map[int64]string{4928: "", 4928 + more: frees} {
		if !fit(edits, count).Fits || fit(edits, count+1).Fits {
			t.Errorf("%q: not just %d fit", edits, count)
		}
	}
	const added = 1000
	plan := fit(frees, added)
	then := fmt.Sprintf("%s-- pools --\nall 2048 3048 0 0 0 0\n0 2048 3048 0 0\n-- proc/meminfo --\nMemTotal: %d kB\nMemAvailable: %d kB\nHugepagesize: 2048 kB\n",
		frees, 16384000+28*added, 12288000-(2048-28)*added)
	if again := fit(then, -1200); again.Memory.HeadroomKiB != plan.Memory.LeftKiB {
		t.Errorf("the plan leaves %d KiB, and then there are %d", plan.Memory.LeftKiB, again.Memory.HeadroomKiB)
	}
}

// A setting that counts pages of the default size is none where that changes with the next boot.
func TestSettingsBesideANewDefault(t *testing.T) {
	const grub = "-- usr/sbin/grub-mkconfig --\n. ${sysconfdir}/default/grub\n-- etc/default/grub --\nGRUB_CMDLINE_LINUX=\"default_hugepagesz=1G\"\n"
	for edits, want := range map[string]string{"": "vm.nr_hugepages = 2048", grub: "echo 2048 > /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"} {
		plan, err := Make(host.Host{Root: hosttest.Unpack(t, "one-node", edits)}, []hostprep.Candidate{onPages("a", 8, pages.Size2MiB, -1)}, 0)
		if err != nil || len(plan.Settings) != 1 || plan.Settings[0].Text != want {
			t.Errorf("%v, %+v, not %s", err, plan.Settings, want)
		}
	}
}

// Memory without processors is a place where QEMU may be unable to preallocate.
func TestPlanOnNodeWithoutCPUs(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "amd-npt", "")}
	for node, want := range map[int]string{-1: "", 0: "", 1: "node 1 has no CPUs, and QEMU may be unable to preallocate there"} {
		plan, err := Make(h, []hostprep.Candidate{onPages("a", 10, pages.Size2MiB, node)}, 0)
		if err != nil || !plan.Fits || plan.Guests[0].Warning != want {
			t.Errorf("node %d: %v, %+v", node, err, plan.Guests)
		}
	}
}
