package advise

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
	"vmhuge/xml"
)

var update = flag.Bool("update", false, "write docs/advice.md anew")

// choose2MiB is the choice of the usual pages of x86.
const choose2MiB Choice = "reserved-2m"

// described is a host and a guest of testdata.
type described struct {
	name, about string
	host        host.Host
	guest       hostprep.Candidate
}

func describedHosts(t *testing.T) []described {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	hosttest.Must(t, err)
	var all []described
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		hosttest.Must(t, err)
		root := t.TempDir()
		d := described{name: strings.TrimSuffix(filepath.Base(file), ".txtar"), about: strings.TrimSpace(string(archive.Comment)), host: host.Host{Root: hostfs.Root(root)}}
		hosttest.WriteFile(t, filepath.Join(root, "proc/self/mountinfo"), hosttest.RootMounts)
		autostart := false
		for _, f := range archive.Files {
			switch f.Name {
			case "pools":
				hosttest.UnpackPools(t, root, string(f.Data))
			case "autostart":
				autostart = true
			case "guest.xml":
				d.guest.Name = d.name
				d.guest.Demand, err = xml.Demand(f.Data, 0)
				hosttest.Must(t, err)
				d.guest.Traits, err = xml.Traits(f.Data)
				hosttest.Must(t, err)
			default:
				hosttest.WriteFile(t, filepath.Join(root, f.Name), string(f.Data))
			}
		}
		d.guest.Traits.Autostart = autostart
		all = append(all, d)
	}
	return all
}

// TestAdvice holds the answers for the described hosts to docs/advice.md.
func TestAdvice(t *testing.T) {
	var short, long strings.Builder
	chosen := map[Choice]int{}
	for _, d := range describedHosts(t) {
		a, err := Weigh(d.host, d.guest)
		if err != nil {
			t.Errorf("%s: %v", d.name, err)
			continue
		}
		chosen[a.Choice]++
		row := func(weights map[Choice]int, out []Choice) string {
			text := ""
			for _, choice := range Choices(a.Usual) {
				switch n := weights[choice]; {
				case slices.Contains(out, choice):
					text += " out |"
				case n == 0:
					text += " · |"
				default:
					text += fmt.Sprintf(" %+d |", n)
				}
			}
			return text
		}
		fmt.Fprintf(&short, "| [%s](#%s) | %s | **%s** |%s\n", d.name, d.name, d.about, a.Choice, row(a.Sums, a.Out))
		fmt.Fprintf(&long, "\n## %s\n\n%s Answer: **%s**.\n\n| THP | %s | 1 GiB | none | rule | numbers |\n|---|---|---|---|---|---|\n", d.name, d.about, a.Choice, a.Usual)
		for _, r := range a.Reasons {
			fmt.Fprintf(&long, "|%s %s | %s |\n", row(r.Weights, r.Out), r.Rule, strings.ReplaceAll(r.Says, "<", "&lt;"))
			if !strings.ContainsFunc(r.Says, unicode.IsDigit) {
				t.Errorf("%s: %s shows no number: %s", d.name, r.Rule, r.Says)
			}
		}
		fmt.Fprintf(&long, "|%s **sum** | |\n", row(a.Sums, a.Out))
	}
	for _, choice := range Choices(pages.Size2MiB) {
		if chosen[choice] == 0 {
			t.Errorf("%s is never the answer", choice)
		}
	}
	const path = "../../docs/advice.md"
	got := adviceHead + short.String() + long.String()
	if *update {
		hosttest.Must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	hosttest.Must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what the rules say; if they are right: go test ./hostprep/advise -run TestAdvice -update\n%s", path, diff)
	}
}

const adviceHead = `# What vmhuge advise says

` + "`vmhuge advise`" + ` scores four choices for a guest: transparent huge pages (THP), reserved pages
of the usual size or of 1 GiB, or none. The usual size is the one that ` + "`vmhuge enable`" + ` takes: 2 MiB
on x86, another where the kernel has other page tables. Each rule that applies to the guest
and the host adds points to a choice or takes some away, and shows the numbers behind it. The
highest score wins; a tie goes to the choice that takes less from the host. "out" marks a
choice that this guest or this host rules out.

A test generates these tables, from the hosts and guests described in
hostprep/advise/testdata and the rules in hostprep/advise/rules.go.

| host and guest | | answer | THP | usual | 1 GiB | none |
|---|---|---|---|---|---|---|
`

// Every rule is one that a described host shows, so that its words and numbers
// are looked at, or one of these.
func TestRules(t *testing.T) {
	shown := map[string]bool{"locked": true, "shared access": true, "free page reporting": true, "memory limit": true, "memory limit counts": true, "no THP": true, "no 2 MiB": true, "part of a page": true,
		"architecture": true, "THP on s390x": true, "private memory": true, "protected guest": true,
		"commit limit": true, "mount's size": true, "cgroup's limit": true}
	for _, d := range describedHosts(t) {
		a, err := Weigh(d.host, d.guest)
		hosttest.Must(t, err)
		for _, r := range a.Reasons {
			shown[r.Rule] = true
		}
	}
	for _, r := range rules {
		if !shown[r.name] {
			t.Errorf("no described host shows the rule %q", r.name)
		}
	}
	// What is done with the guest's memory besides.
	laptop := describedHosts(t)[0]
	for name, test := range map[string]struct {
		change func(*hostprep.Candidate)
		rules  []string
		not    []string
	}{
		"locked":    {func(c *hostprep.Candidate) { c.Traits.Locked = true }, []string{"locked"}, []string{"swap"}},
		"limited":   {func(c *hostprep.Candidate) { c.Traits.LimitKiB = 1 << 20 }, []string{"memory limit"}, nil},
		"reporting": {func(c *hostprep.Candidate) { c.Traits.Reporting = true }, []string{"free page reporting"}, nil},
		"unshared":  {func(c *hostprep.Candidate) { c.Traits.SharedBy = 1 }, []string{"shared memory", "shared access"}, nil},
		"shared":    {func(c *hostprep.Candidate) { c.Traits.SharedBy, c.Traits.Shared = 1, true }, []string{"shared memory"}, []string{"shared access"}},
		"pinned":    {func(c *hostprep.Candidate) { c.Traits.VFIO = 1 }, []string{"VFIO"}, []string{"swap", "migration"}},
		"SEV":       {func(c *hostprep.Candidate) { c.Traits.Security = "sev" }, []string{"locked"}, []string{"swap", "migration", "KSM", "balloon"}},
		"SEV-SNP":   {func(c *hostprep.Candidate) { c.Traits.Security = "sev-snp" }, []string{"private memory"}, []string{"swap", "migration", "balloon", "page tables", "free memory in one piece"}},
		"TDX":       {func(c *hostprep.Candidate) { c.Traits.Security = "tdx" }, []string{"private memory"}, []string{"swap", "migration", "page tables", "fragmentation"}},
		"protected": {func(c *hostprep.Candidate) { c.Traits.Security = "s390-pv" }, []string{"protected guest"}, []string{"migration"}},
		"returns nothing to the host": {func(c *hostprep.Candidate) {
			c.Traits.VFIO, c.Traits.Reporting, c.Traits.Balloon, c.Traits.CurrentKiB = 1, true, true, 1024
		}, []string{"VFIO"}, []string{"balloon", "free page reporting"}},
	} {
		guest := laptop.guest
		test.change(&guest)
		a, err := Weigh(laptop.host, guest)
		hosttest.Must(t, err)
		has := func(rule string) bool {
			return slices.ContainsFunc(a.Reasons, func(r Reason) bool { return r.Rule == rule })
		}
		for _, rule := range test.rules {
			if !has(rule) {
				t.Errorf("%s: nothing of %s", name, rule)
			}
		}
		for _, rule := range test.not {
			if has(rule) {
				t.Errorf("%s: %s applies", name, rule)
			}
		}
	}
}

// Where memory limits count reserved pages, a guest above its own would not start on them.
func TestAdviceBelowLimit(t *testing.T) {
	laptop := describedHosts(t)[0]
	laptop.guest.Traits.LimitKiB = 1 << 20
	hosttest.WriteFile(t, laptop.host.Root.Path("proc", "self", "mountinfo"), hosttest.RootMounts+"50 27 0:50 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,memory_hugetlb_accounting\n")
	a, err := Weigh(laptop.host, laptop.guest)
	hosttest.Must(t, err)
	if !slices.Contains(a.Out, choose2MiB) || !slices.Contains(a.Out, Choose1GiB) || slices.Contains(a.Out, ChooseTHP) {
		t.Errorf("out are %v", a.Out)
	}
}

// The reserved pages that are weighed are those that enable takes: of 2 MiB only where they are
// the usual ones. A guest that would not fill its last one can't have them.
func TestAdviceOnTheUsualPages(t *testing.T) {
	const m, g = int64(pages.MiB), int64(pages.GiB)
	for _, test := range []struct {
		arch, kind string
		have       []pages.Size
		ram        int64
		want       pages.Size
		part       bool // the RAM is not a multiple of these pages
	}{
		{"aarch64", "kvm", []pages.Size{2 << 20, 512 << 20, 16 << 30}, 8 * g, 512 << 20, false},
		{"aarch64", "kvm", []pages.Size{2 << 20, 512 << 20, 16 << 30}, 8*g + 256*m, 512 << 20, true},
		{"", "qemu", []pages.Size{2 << 20, 32 << 20, 1 << 30}, 8 * g, 32 << 20, false},
		{"aarch64", "kvm", []pages.Size{64 << 10, 2 << 20, 32 << 20, 1 << 30}, 8 * g, 2 << 20, false},
		{"ppc64le", "kvm", []pages.Size{16 << 20, 16 << 30}, 8 * g, 16 << 20, false},
		{"s390x", "kvm", []pages.Size{1 << 20, 2 << 30}, 8 * g, 1 << 20, false},
		{"x86_64", "kvm", []pages.Size{2 << 20, 1 << 30}, 8 * g, 2 << 20, false},
		{"x86_64", "kvm", []pages.Size{1 << 30}, 8 * g, 2 << 20, false}, // which the host lacks
	} {
		d := describedHosts(t)[0]
		pools := ""
		for _, size := range test.have {
			pools += fmt.Sprintf("all %d 0 0 0 0 0\n", size.KiB())
		}
		hosttest.UnpackPools(t, string(d.host.Root), pools)
		guest := d.guest
		guest.Demand.Type, guest.Traits.Arch, guest.Traits.VFIO = test.kind, test.arch, 1
		guest.Traits.MemoryKiB, guest.Traits.CurrentKiB = test.ram/pages.KiB, test.ram/pages.KiB
		guest.Traits.PartKiB = guest.Traits.MemoryKiB & -guest.Traits.MemoryKiB
		a, err := Weigh(d.host, guest)
		hosttest.Must(t, err)
		if a.Usual != test.want {
			t.Errorf("%s with %v: pages of %s are weighed, want %s", test.arch, test.have, a.Usual, test.want)
		}
		partly := slices.ContainsFunc(a.Reasons, func(r Reason) bool { return r.Rule == "part of a page" })
		if partly != test.part || test.part && !slices.Contains(a.Out, Reserved(test.want)) {
			t.Errorf("%s with %v: part of a page %v, out %v", test.arch, test.have, partly, a.Out)
		}
		for _, r := range a.Reasons {
			if a.Usual != pages.Size2MiB && !strings.HasPrefix(r.Rule, "no ") && strings.Contains(r.Says, "pages of 2 MiB") {
				t.Errorf("%s with %v: %s speaks of 2 MiB: %s", test.arch, test.have, r.Rule, r.Says)
			}
		}
	}
}

// What enable refuses or warns of for a guest is not what it is advised to take.
func TestAdviceFollowsTheGuest(t *testing.T) {
	database := describedHosts(t)[1] // large: reserved pages
	for name, test := range map[string]struct {
		arch, security string
		rules          []string
		out            []Choice
		not            []Choice // not the answer
	}{
		"plain":            {"x86_64", "", nil, nil, []Choice{ChooseNone}},
		"sev":              {"x86_64", "sev", nil, nil, []Choice{ChooseNone}},
		"tdx":              {"x86_64", "tdx", []string{"private memory"}, nil, []Choice{choose2MiB, Choose1GiB}},
		"sev-snp":          {"x86_64", "sev-snp", []string{"private memory"}, nil, []Choice{choose2MiB, Choose1GiB}},
		"s390x":            {"s390x", "", []string{"architecture", "THP on s390x"}, []Choice{choose2MiB, Choose1GiB}, []Choice{ChooseTHP}},
		"Secure Execution": {"s390x", "s390-pv", []string{"architecture", "THP on s390x", "protected guest"}, []Choice{choose2MiB, Choose1GiB}, []Choice{ChooseTHP}},
		"loongarch64":      {"loongarch64", "", []string{"architecture"}, []Choice{Choose1GiB}, nil},
		"emulated":         {"", "", nil, nil, []Choice{ChooseNone}},
	} {
		guest := database.guest
		guest.Traits.Arch, guest.Traits.Security = test.arch, test.security
		a, err := Weigh(database.host, guest)
		hosttest.Must(t, err)
		var special []string
		for _, r := range a.Reasons {
			if slices.Contains([]string{"architecture", "THP on s390x", "private memory", "protected guest"}, r.Rule) && !slices.Contains(special, r.Rule) {
				special = append(special, r.Rule)
			}
			if test.security == "s390-pv" && strings.Contains(r.Says, "--size") {
				t.Errorf("%s: %s", name, r.Says)
			}
		}
		if slices.Sort(special); !slices.Equal(special, slices.Sorted(slices.Values(test.rules))) {
			t.Errorf("%s: the rules are %q", name, special)
		}
		for _, choice := range test.out {
			if !slices.Contains(a.Out, choice) {
				t.Errorf("%s: %s is not ruled out", name, choice)
			}
		}
		if slices.Contains(test.not, a.Choice) {
			t.Errorf("%s: %s is advised: %v", name, a.Choice, a.Sums)
		}
	}
}

var negative = regexp.MustCompile(`-[0-9]`)

// Nothing overflows, and something is always left to choose.
func TestAdviceOfAnySize(t *testing.T) {
	for _, d := range describedHosts(t) {
		for kib := int64(1); kib <= 1<<50; kib *= 2 {
			d.guest.Traits.MemoryKiB, d.guest.Traits.CurrentKiB = kib, kib/2
			a, err := Weigh(d.host, d.guest)
			if err != nil || !slices.Contains(Choices(a.Usual), a.Choice) {
				t.Errorf("%s: %d KiB: %v, %v", d.name, kib, a.Choice, err)
			}
			for _, r := range a.Reasons {
				if negative.MatchString(r.Says) {
					t.Errorf("%s: %d KiB: %s", d.name, kib, r.Says)
				}
			}
			if kib*pages.KiB > 1<<50 && (a.Choice == choose2MiB || a.Choice == Choose1GiB) {
				t.Errorf("%s: %d KiB: %s", d.name, kib, a.Choice)
			}
		}
	}
}

// Pages that are promised to others are none that a guest gets, and beside an area the kernel
// skips pages of 1 GiB at boot.
func TestAdviceOfPromisedPages(t *testing.T) {
	const area = "-- proc/meminfo --\nMemTotal: 65536000 kB\nMemFree: 60000000 kB\nMemAvailable: 60000000 kB\nHugepagesize: 2048 kB\nCmaTotal: 1048576 kB\nCmaFree: 0 kB\n"
	for name, test := range map[string]struct{ files, says, not string }{
		"free":     {"", "1200 pages of 2 MiB are free in the pool already", ""},
		"promised": {"-- pools --\nall 2048 2048 1200 1200 0 0\nall 1048576 0 0 0 0 0\n0 2048 2048 1200 0\n0 1048576 0 0 0\n", "", "are free in the pool already"},
		"an area":  {area + "-- proc/cmdline --\nhugetlb_cma=1G\n", "has room for 0: certain only with a larger one, from the next boot on", "hugepagesz=1G"},
		"no area":  {area + "-- proc/cmdline --\nquiet\n", "certain only at boot, with hugepagesz=1G hugepages=2, or from an area", ""},
	} {
		root := hosttest.Unpack(t, "one-node", test.files+"-- proc/buddyinfo --\nNode 0, zone Normal 1 1 1 1 1 1 1 1 1 1 1\n-- proc/uptime --\n1000 1000\n"+
			"-- sys/kernel/mm/transparent_hugepage/enabled --\nalways [madvise] never\n-- proc/zoneinfo --\nNode 0, zone Normal\n  pages free 1\n")
		guest := hostprep.Candidate{Name: "a", Traits: pages.Traits{MemoryKiB: 2 << 20, PartKiB: 2 << 20}}
		a, err := Weigh(host.Host{Root: root}, guest)
		hosttest.Must(t, err)
		var says strings.Builder
		for _, r := range a.Reasons {
			says.WriteString(r.Says + "\n")
		}
		if !strings.Contains(says.String(), test.says) || test.not != "" && strings.Contains(says.String(), test.not) {
			t.Errorf("%s:\n%s", name, says.String())
		}
	}
}

// A part of a guest may have pages of its own, and its kernel or the host's others than 2 MiB.
func TestAdviceOfParts(t *testing.T) {
	const two = "<domain type='kvm'><memory unit='GiB'>2</memory>"
	cells := two + "<cpu><numa><cell memory='1' unit='GiB'/><cell memory='1' unit='GiB' memAccess='shared'/></numa></cpu></domain>"
	const thp = "-- sys/kernel/mm/transparent_hugepage/"
	for name, test := range map[string]struct{ doc, files, says, not string }{
		"a DIMM on small pages": {"<domain type='kvm'><maxMemory slots='1' unit='GiB'>4</maxMemory><memory unit='GiB'>2</memory><features><acpi/></features><cpu><numa><cell memory='1' unit='GiB'/></numa></cpu><devices><memory model='dimm'><source><pagesize>4</pagesize></source><target><size unit='GiB'>1</size><node>0</node></target></memory></devices></domain>",
			"", "page tables: 2 GiB is 524288 pages of 4 KiB with 4 MiB of page tables, 512 pages of 2 MiB, or 1 of 1 GiB", "1024 pages of 2 MiB"},
		"a shared cell":      {cells, "", "shared cells: 1 GiB of it is in cells with memAccess='shared'", "shared memory: "},
		"shared by devices":  {strings.Replace(cells, "</domain>", "<devices><filesystem><driver type='virtiofs'/></filesystem></devices></domain>", 1), "", "shared memory: ", "shared cells"},
		"s390x elsewhere":    {two + "<os><type arch='s390x'/></os></domain>", "", "KVM on s390x takes no pages of 2 MiB, but of 1 MiB, and this host has none of these", "vmhuge enable"},
		"s390x, also 1 GiB":  {two + "<os><type arch='s390x'/></os></domain>", "", "2048 pages of 1 MiB", "hugepagesz=1G"},
		"off for this size":  {two + "</domain>", thp + "enabled --\n[always] madvise never\n" + thp + "hugepages-2048kB/enabled --\nalways inherit madvise [never]\n", "transparent_hugepage/hugepages-2048kB/enabled is never", ""},
		"off for every size": {two + "</domain>", thp + "enabled --\nalways madvise [never]\n" + thp + "hugepages-2048kB/enabled --\nalways [inherit] madvise never\n", "transparent_hugepage/enabled is never", ""},
	} {
		root := hosttest.Unpack(t, "one-node", "-- proc/buddyinfo --\nNode 0, zone Normal 1 1 1 1 1 1 1 1 1 1 1\n-- proc/uptime --\n1000 1000\n"+
			thp+"enabled --\nalways [madvise] never\n-- proc/zoneinfo --\nNode 0, zone Normal\n  pages free 1\n"+test.files)
		demand, err := xml.Demand([]byte(test.doc), 0)
		hosttest.Must(t, err)
		traits, err := xml.Traits([]byte(test.doc))
		hosttest.Must(t, err)
		a, err := Weigh(host.Host{Root: root}, hostprep.NewCandidate(demand, traits))
		hosttest.Must(t, err)
		var says strings.Builder
		for _, r := range a.Reasons {
			says.WriteString(r.Rule + ": " + r.Says + "\n")
		}
		if !strings.Contains(says.String(), test.says) || test.not != "" && strings.Contains(says.String(), test.not) {
			t.Errorf("%s:\n%s", name, says.String())
		}
	}
}
