package check

import (
	"strings"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// The kernel refuses a mapping that it cannot commit, and what it refuses depends
// on vm.overcommit_memory. one-node has 15.6 GiB of RAM, 4 GiB of it in the pool.
func TestOrdinaryMemory(t *testing.T) {
	const gib = pages.GiB / pages.KiB
	const refused = "memory blocker no-memory: "
	mode := func(mode string) string { return "-- proc/sys/vm/overcommit_memory --\n" + mode + "\n" }
	meminfo := func(more string) string {
		return "-- proc/meminfo --\nMemTotal: 16384000 kB\nMemAvailable: 12288000 kB\nHugepagesize: 2048 kB\n" + more
	}
	const swap, commits = "SwapTotal: 4194304 kB\n", "CommitLimit: 8388608 kB\nCommitted_AS: 2097152 kB\n"
	for _, test := range []struct {
		name, host string
		backends   []pages.Backend
		want       string
	}{
		{"fits", "", []pages.Backend{{Kind: pages.RAM, MemoryKiB: 8 * gib}}, ""},
		{"guess: larger than RAM", "", []pages.Backend{{Kind: pages.RAM, MemoryKiB: 16 * gib}},
			refused + "the host has 15.6 GiB of RAM and 0 KiB of swap, and the kernel maps nothing larger (vm.overcommit_memory is 0)"},
		{"guess: swap counts", meminfo(swap), []pages.Backend{{Kind: pages.RAM, MemoryKiB: 15 * gib}}, ""},
		{"guess: larger than what the pools leave", "", []pages.Backend{{Kind: pages.RAM, MemoryKiB: 13 * gib}},
			"memory warning : outside its pools of huge pages the host has 11.6 GiB of RAM and swap"},
		{"guess: each cell is a mapping of its own", "", []pages.Backend{{Kind: pages.Cell, MemoryKiB: 10 * gib}, {Kind: pages.Cell, MemoryKiB: 10 * gib}},
			"memory warning : outside its pools of huge pages the host has 11.6 GiB of RAM and swap"},
		{"always", mode("1"), []pages.Backend{{Kind: pages.RAM, MemoryKiB: 64 * gib}},
			"memory warning : outside its pools of huge pages the host has 11.6 GiB of RAM and swap"},
		{"never: fits", mode("2") + meminfo(commits), []pages.Backend{{Kind: pages.RAM, MemoryKiB: 6 * gib}}, ""},
		{"never: one page too many", mode("2") + meminfo(commits), []pages.Backend{{Kind: pages.RAM, MemoryKiB: 6*gib + 4}},
			refused + "vm.overcommit_memory is 2, and 6 GiB of the 8 GiB that the kernel commits are left"},
		{"never: the sum counts", mode("2") + meminfo(commits), []pages.Backend{{Kind: pages.Cell, MemoryKiB: 4 * gib}, {Kind: pages.Cell, MemoryKiB: 4 * gib}},
			refused + "vm.overcommit_memory is 2, and 6 GiB of the 8 GiB that the kernel commits are left"},
		{"huge pages and shared files are not committed", mode("2") + meminfo(commits), []pages.Backend{{Kind: pages.RAM, MemoryKiB: 64 * gib, Uncommitted: true}}, ""},
		{"virtio-mem is committed as it grows", "", []pages.Backend{{Kind: pages.RAM, MemoryKiB: gib}, {Kind: pages.VirtioMem, MemoryKiB: 64 * gib}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := host.Host{Root: hosttest.Unpack(t, "one-node", test.host)}
			g := hostprep.Guest{Demand: pages.Demand{Domain: "db1", Backing: pages.None, Backends: test.backends}}
			findings := ask(h, g, []Check{OrdinaryMemory})
			if got := guesttest.Show(findings); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			for _, f := range findings {
				if f.Cause != hostprep.RAMShort || f.Need == "" || !strings.Contains(f.Do, "virsh edit db1") {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}
