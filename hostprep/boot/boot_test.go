package boot

import (
	"fmt"
	"os"
	"path"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
	"vmhuge/internal/sysctl"
)

// The table's pages are counted against the pools, those of single nodes first.
func TestBootLacks(t *testing.T) {
	state := pool.State{Pools: []pool.Pool{
		{Node: 0, Size: pages.Size2MiB, Total: 30, Free: 30}, {Node: 1, Size: pages.Size2MiB, Total: 12, Free: 12, Surplus: 2},
	}}
	table := Table{Pages: []Row{
		{Name: "any", Size: pages.Size2MiB, Pages: 25},
		{Name: "one", Nodes: []int{1}, Size: pages.Size2MiB, Pages: 12},
		{Name: "huge", Nodes: []int{0}, Size: pages.Size1GiB, Pages: 1},
	}}
	needs, there := table.lacks(state, pages.Size2MiB, 8)
	if diff := cmp.Diff([]pool.Need{
		{Nodes: []int{1}, Size: pages.Size2MiB, Pages: 2}, {Nodes: []int{0}, Size: pages.Size1GiB, Pages: 1}, {Size: pages.Size2MiB, Pages: 3},
	}, needs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]pool.Grant{
		{Node: 1, Size: pages.Size2MiB, Pages: 10}, {Node: 0, Size: pages.Size2MiB, Pages: 22},
	}, there); diff != "" {
		t.Error(diff)
	}
}

// What another file has reserved is not the table's, wherever it is counted: with what
// is added the ledger has what the table asks for, and no page more.
func TestBootLeavesOthers(t *testing.T) {
	const others = 424
	for _, total := range []int64{0, 400, others, others + 20, others + 32, others + 100} {
		for _, nodes := range [][]int{nil, {0}, {1}} {
			state := pool.State{Pools: []pool.Pool{
				{Node: 0, Size: pages.Size2MiB, Total: total / 2, Free: total / 2}, {Node: 1, Size: pages.Size2MiB, Total: total - total/2, Free: total - total/2},
			}}
			table := Table{Pages: []Row{{Name: "web", Nodes: nodes, Size: pages.Size2MiB, Pages: 32}}}
			needs, there := table.lacks(state, pages.Size2MiB, others)
			after, ours := total, int64(0)
			for _, n := range needs {
				after += n.Pages
				ours += n.Pages
			}
			for _, g := range there {
				ours += g.Pages
			}
			if want := max(total, others+32); after != want {
				t.Errorf("%d pages, the row on %v: %d then, not %d", total, nodes, after, want)
			}
			if left := after - ours; left != min(total, others) && total < others+32 || total >= others+32 && ours != 32 {
				t.Errorf("%d pages, the row on %v: undo leaves %d", total, nodes, left)
			}
		}
	}
}

// The pages that a pool is to have at least are not added to those of guests, of
// programs and of others; and these are never fewer for it.
func TestAtLeast(t *testing.T) {
	const web1, ovs = `{"uuid":"1","name":"web1","page_size_kib":2048,"pages":100}`, `{"name":"ovs","reserved":true,"nodes":[1],"page_size_kib":2048,"pages":50}`
	for _, test := range []struct {
		rows                    string
		others, there, want     int64 // pages: in all at the next boot
		onNode0, freedByUndoing int64
	}{
		{`{"page_size_kib":2048,"pages":1000}`, 0, 0, 1000, 0, 1000},
		{`{"page_size_kib":2048,"pages":1000}`, 400, 400, 1000, 0, 600},
		{`{"page_size_kib":2048,"pages":1000}`, 400, 1000, 1000, 0, 600},
		{`{"page_size_kib":2048,"pages":1000}`, 2000, 2000, 2000, 0, 0},
		{`{"page_size_kib":2048,"pages":1000},` + web1, 0, 0, 1000, 0, 1000},
		{`{"page_size_kib":2048,"pages":1000},` + web1 + "," + ovs, 900, 900, 1050, 0, 150},
		{`{"page_size_kib":2048,"pages":120},` + web1 + "," + ovs, 0, 0, 150, 0, 150},
		{`{"nodes":[0],"page_size_kib":2048,"pages":30},` + ovs, 0, 0, 80, 30, 80},
		{`{"nodes":[1],"page_size_kib":2048,"pages":60},` + ovs, 0, 0, 60, 0, 60},
		{`{"nodes":[1],"page_size_kib":2048,"pages":60},{"page_size_kib":2048,"pages":100},` + ovs, 0, 0, 100, 0, 100},
	} {
		table, err := parseTable([]byte(`{"version":1,"pages":[` + test.rows + `]}`))
		hosttest.Must(t, err)
		state := pool.State{Pools: []pool.Pool{{Node: 0, Size: pages.Size2MiB, Total: test.there, Free: test.there}, {Node: 1, Size: pages.Size2MiB}}}
		needs, there := table.lacks(state, pages.Size2MiB, test.others)
		total, on0, ours := test.there, int64(0), int64(0)
		for _, n := range needs {
			total, ours = total+n.Pages, ours+n.Pages
			if slices.Equal(n.Nodes, []int{0}) {
				on0 += n.Pages
			}
		}
		for _, g := range there {
			ours += g.Pages
		}
		if total != test.want || on0 != test.onNode0 || ours != test.freedByUndoing {
			t.Errorf("%s beside %d, of which %d are there: %d pages, %d on node 0, %d of them the table's", test.rows, test.others, test.there, total, on0, ours)
		}
	}
}

// What is kept without pages, such as a folder for a user, does not change whether the
// pages of others are reserved.
func TestTableKeepsOvercommit(t *testing.T) {
	guest := []hostprep.Guest{{Demand: pages.Demand{UUID: "1"}}}
	table := Table{}.With(guest, nil, true)
	if !table.With(nil, nil, false).Overcommit || !table.With(nil, []pool.Need{{Size: pages.Size2MiB, Pages: 8}}, true).Overcommit {
		t.Error("the pages of others are reserved")
	}
	if table.With(guest, nil, false).Overcommit {
		t.Error("pages that are asked for are not reserved")
	}
}

// A kill between a mount's unit and the link that enables it leaves the link to be made.
func TestMountUnitWithoutItsLink(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- modes --\nrun/systemd/system/ 0755 0:0\netc/systemd/system/ 0755 0:0\n")}
	m := host.Mount{Point: "/dev/hugepages1G"}
	for _, group := range []string{"", "kvm"} {
		all, err := MountPlan(h, m, pages.Size1GiB, pages.Size2MiB, group)
		if err != nil || len(all) != 3 {
			t.Fatalf("%v, %v", all, err)
		}
		i := slices.IndexFunc(all, func(c change.Change) bool { return c.Kind == change.KindFile })
		hosttest.WriteFile(t, h.Root.Path(all[i].Path), change.TextOf(all[i].To))
		rest, err := MountPlan(h, m, pages.Size1GiB, pages.Size2MiB, group)
		if diff := cmp.Diff(all[i+1:], rest); err != nil || diff != "" {
			t.Errorf("%q: %s%v", group, diff, err)
		}
	}
}

func TestUnitName(t *testing.T) {
	for point, want := range map[string]string{
		"/dev/hugepages": "dev-hugepages.mount", "/dev/hugepages1G/": "dev-hugepages1G.mount",
		"/mnt/huge pages": `mnt-huge\x20pages.mount`, "/srv/a-b": `srv-a\x2db.mount`, "/.x": `\x2ex.mount`,
	} {
		if got := UnitName(point); got != want {
			t.Errorf("%s: %s", point, got)
		}
	}
}

func TestEditFstab(t *testing.T) {
	// Of the line that counts there is one that is commented out as well.
	const before = "# none\n#huge /dev/hugepages hugetlbfs mode=1352,pagesize=2M,gid=5\t0 0\n/dev/vda / ext4 defaults 0 1\n"
	const text = before + "huge /dev/hugepages hugetlbfs mode=1352,pagesize=2M,gid=5\t0 0\n"
	const small = "huge /dev/small hugetlbfs defaults 0 0\n"
	for _, test := range []struct {
		text, point, group string
		sized              pages.Size
		want               string
	}{
		{text, "/dev/hugepages", "", 0, text},
		{text, "/dev/hugepages", "", pages.Size2MiB, text},
		{small, "/dev/small", "", 0, small},
		{"huge /a hugetlbfs defaults,pagesize=2M 0 0\n", "/a", "", pages.Size2MiB, "huge /a hugetlbfs defaults,pagesize=2M 0 0\n"},
		{"huge /a hugetlbfs defaults,noatime 0 0\n", "/a", "", pages.Size2MiB, "huge /a hugetlbfs noatime,pagesize=2M 0 0\n"},
		{small, "/dev/small", "", pages.Size2MiB, "huge /dev/small hugetlbfs pagesize=2M 0 0\n"},
		{text, "/dev/hugepages", "kvm", 0, before + "huge /dev/hugepages hugetlbfs pagesize=2M,mode=01770,gid=kvm 0 0\n"},
		{text, "/mnt/a b", "", 0, text + "hugetlbfs /mnt/a\\040b hugetlbfs nosuid,nodev,pagesize=1G 0 0\n"},
	} {
		got := editFstab(test.text, test.point, "nosuid,nodev,pagesize=1G", test.group, test.sized)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Error(diff)
		}
		if again := editFstab(got, test.point, "nosuid,nodev,pagesize=1G", test.group, test.sized); again != got {
			t.Errorf("a second time: %s", again)
		}
	}
}

// The last setting of the last file counts, and our own never.
func TestBootSysctl(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "two-nodes", `
-- etc/sysctl.d/50-a.conf --
vm.nr_hugepages=1
-- usr/lib/sysctl.d/60-b.conf --
# vm.nr_hugepages = 9
-vm/nr_hugepages = 2
-- usr/lib/sysctl.d/50-a.conf --
vm.nr_hugepages = 3
-- etc/sysctl.d/99-vmhuge.conf --
vm.nr_hugepages = 4
`)}
	for text, want := range map[string]int64{"": 2, "vm.nr_hugepages = 5\n": 5, "vm.nr_hugepages_mempolicy=6\n": 6, "vm.nr_hugepages_mempolicy=6\nvm/nr_hugepages=7\n": 7,
		"vm.nr_hugepages = 8G\n": 2, "vm.nr_hugepages 8\n": 2, "vm.nr_overcommit_hugepages = 8\n": 2} {
		hosttest.WriteFile(t, h.Root.Path("etc/sysctl.conf"), text)
		if n, err := hugepages(host.Host{Root: h.Root}, "vm.nr_hugepages", true); n != want || err != nil {
			t.Errorf("%q: %d, %v", text, n, err)
		}
		counts := sysctl.HugePages(h.Root)
		if !slices.ContainsFunc(counts, func(c sysctl.Count) bool { return c.Pages == want }) && text != "" && want != 2 {
			t.Errorf("%q: the ledger sees %v", text, counts)
		}
	}
}

// What the kernel's command line reserves stays beside vmhuge's setting, which replaces
// what is there; vmhuge's own words do not count, and other files take it away themselves.
func TestBootSysctlBesideTheCommandLine(t *testing.T) {
	for _, test := range []struct{ cmdline, files, want string }{
		{"quiet", "", "vm.nr_hugepages = 1000"}, {"hugepages=2048", "", "vm.nr_hugepages = 3048"}, {"hugepages=0:512,1:512", "", "vm.nr_hugepages = 2024"},
		{"hugepagesz=2M hugepages=64 hugepagesz=1G hugepages=4", "", "vm.nr_hugepages = 1064"}, {"hugepagesz=1G hugepages=4", "", "vm.nr_hugepages = 1000"},
		{"sysctl.vm.nr_hugepages=2048", "", "vm.nr_hugepages = 3048"}, {"hugepages=64 sysctl.vm/nr_hugepages=0x10", "", "vm.nr_hugepages = 1016"},
		{"vmhuge.begin hugepages=2048 vmhuge.end hugepages=8", "", "vm.nr_hugepages = 1008"}, {"ro -- hugepages=2048", "", "vm.nr_hugepages = 1000"},
		{"hugepages=2048", "-- etc/sysctl.d/10-a.conf --\nvm.nr_hugepages = 100\n", "vm.nr_hugepages = 1100"},
		{"quiet", "-- etc/tuned/active_profile --\nweb\n-- etc/tuned/profiles/web/tuned.conf --\n[sysctl]\nvm.nr_hugepages=500\n-- etc/systemd/system/multi-user.target.wants/tuned.service --\n[Service]\n", "vm.nr_hugepages = 1500"},
	} {
		h := host.Host{Root: hosttest.Unpack(t, "two-nodes", "-- proc/cmdline --\n"+test.cmdline+"\n"+test.files)}
		if got, err := sysctlPages(h, 1000, false); got != test.want || err != nil {
			t.Errorf("%s: %s, not %s; %v", test.cmdline, got, test.want, err)
		}
	}
	h := host.Host{Root: hosttest.Unpack(t, "two-nodes", "-- proc/cmdline --\nhugepages=2048\n")}
	if got, err := sysctlPages(h, 1000, true); got != "vm.nr_overcommit_hugepages = 1000" || err != nil {
		t.Errorf("overcommit: %s, %v", got, err)
	}
}

// What is reserved for a program has rows of its own, which other pages do not replace.
func TestBootReserved(t *testing.T) {
	two := pool.Need{Size: pages.Size2MiB, Pages: 2}
	on1 := pool.Need{Nodes: []int{1}, Size: pages.Size2MiB, Pages: 3}
	table := Table{Overcommit: true}.WithReserved("ovs", []pool.Need{two}).WithReserved("ovs", []pool.Need{on1}).WithReserved("db", []pool.Need{two})
	table = table.With(nil, []pool.Need{{Size: pages.Size2MiB, Pages: 7}}, false)
	two.Pages = 5
	table, err := parseTable([]byte(table.WithReserved("ovs", []pool.Need{two}).Text()))
	if err != nil {
		t.Fatal(err)
	}
	want := "3 pages of 2 MiB on node 1 for ovs, 2 pages of 2 MiB for db, 7 pages of 2 MiB, 5 pages of 2 MiB for ovs"
	if got := table.Words(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if diff := cmp.Diff([]Row{{Nodes: []int{1}, Size: pages.Size2MiB, Pages: 3}, {Size: pages.Size2MiB, Pages: 7}}, table.Sums(nil)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string][]pool.Take{"db": {{Size: pages.Size2MiB, Pages: 2}},
		"ovs": {{Nodes: []int{1}, Size: pages.Size2MiB, Pages: 3}, {Size: pages.Size2MiB, Pages: 5}}}, table.Reserved()); diff != "" {
		t.Error(diff)
	}
	two.Pages = 0
	if got := table.WithReserved("db", []pool.Need{two}).Reserved()["db"]; got != nil {
		t.Errorf("still %v", got)
	}
}

// systemd reads /etc/sysctl.conf only by a link; other systems read it last.
func TestSysctlConf(t *testing.T) {
	const conf, systemd = "-- etc/sysctl.conf --\nvm.nr_hugepages = 512\n", "-- modes --\nrun/systemd/system/ 0755 0:0\n"
	for name, test := range map[string]struct {
		files, link, to string
		want            string
		later           bool
	}{
		"OpenRC":                      {conf, "", "", "/etc/sysctl.conf:1 512", true},
		"OpenRC, with a link":         {conf, "etc/sysctl.d/99-sysctl.conf", "../sysctl.conf", "/etc/sysctl.conf:1 512", true},
		"Debian 13, Arch":             {conf + systemd, "", "", "", false},
		"Debian 12, Fedora":           {conf + systemd, "etc/sysctl.d/99-sysctl.conf", "../sysctl.conf", "/etc/sysctl.d/99-sysctl.conf:1 512", false},
		"SUSE":                        {conf + systemd, "usr/lib/sysctl.d/99-sysctl.conf", "../../../etc/sysctl.conf", "/usr/lib/sysctl.d/99-sysctl.conf:1 512", false},
		"a file of that name":         {conf + systemd + "-- etc/sysctl.d/99-sysctl.conf --\nvm.nr_hugepages = 64\n", "", "", "/etc/sysctl.d/99-sysctl.conf:1 64", false},
		"a file of that name, OpenRC": {conf + "-- etc/sysctl.d/99-sysctl.conf --\nvm.nr_hugepages = 64\n", "", "", "/etc/sysctl.conf:1 512", true},
		"masked":                      {conf + systemd, "etc/sysctl.d/99-sysctl.conf", "/dev/null", "", false},
		"nothing is read":             {conf + systemd + "-- etc/sysctl.d/50-a.conf --\nvm.nr_hugepages = 8\n", "etc/systemd/system/systemd-sysctl.service", "/dev/null", "", false},
		"before another":              {conf + systemd + "-- run/sysctl.d/99-z.conf --\nvm.nr_hugepages = 8\n", "etc/sysctl.d/99-sysctl.conf", "../sysctl.conf", "/run/sysctl.d/99-z.conf:1 8", true},
	} {
		t.Run(name, func(t *testing.T) {
			root := hosttest.Unpack(t, "one-node", test.files)
			if test.link != "" {
				hosttest.Must(t, os.MkdirAll(path.Dir(root.Path(test.link)), 0o755))
				hosttest.Must(t, os.Symlink(test.to, root.Path(test.link)))
			}
			all, err := Reservations(host.Host{Root: root})
			hosttest.Must(t, err)
			got, later := "", false
			for _, r := range all {
				got, later = fmt.Sprint(r.Where, " ", r.Pages), r.Later
			}
			if got != test.want || later != test.later {
				t.Errorf("%q, later %v", got, later)
			}
		})
	}
}
