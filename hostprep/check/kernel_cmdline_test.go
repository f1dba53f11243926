package check

import (
	"strings"
	"testing"

	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

func TestKernelCmdlineCheck(t *testing.T) {
	const two = `-- pools --
all 2048 1024 300 0 0 0
all 1048576 4 4 0 0 0
0 2048 1024 300 0
0 1048576 1 1 0
1 2048 0 0 0
1 1048576 3 3 0
`
	for _, test := range []struct{ name, host, cmdline, want, cma string }{
		{"nothing asked for", "two-nodes", "quiet", "", ""},
		{"all there", "two-nodes", "hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=1024", "", ""},
		{"more than asked for", "two-nodes", "hugepagesz=1G hugepages=0:1,1:2", "", ""},
		{"on another node", "two-nodes", "hugepagesz=1G hugepages=0:2,1:2", `
 warning : the kernel command line asks for 2 pages of 1 GiB on node 0, but 1 are allocated; node 0 has 7.8 GiB of memory in total; node 1 has 1 more than requested`, ""},
		{"too few", "two-nodes", "default_hugepagesz=1G hugepages=5", `
 warning : the kernel command line asks for 5 pages of 1 GiB, but 4 are allocated`, ""},
		{"too few on the only node", "one-node", "hugepages=9000", `
 warning : the kernel command line asks for 9000 pages of 2 MiB, but 2048 are allocated; node 0 has 15.6 GiB of memory in total`, ""},
		{"a node that is not there", "two-nodes", "hugepages=7:9", "", ""}, // a slip
		{"a size that the kernel lacks", "no-1g", "hugepagesz=1G hugepages=2", "", ""},
		{"an area that is there", "one-node", "hugetlb_cma=8G", "", "CmaTotal: 8388608 kB\nCmaFree: 4194304 kB"},
		{"an area that could not be reserved", "one-node", "hugetlb_cma=8G", `
 warning : the kernel command line asks for an area of 8 GiB for pages on demand, but the kernel has none (CmaTotal)`, "CmaTotal: 0 kB\nCmaFree: 0 kB"},
		{"an area on one node of two", "two-nodes", "hugetlb_cma=0:4G,1:4G", `
 warning : the kernel command line asks for an area of 8 GiB for pages on demand, but the kernel has 4 GiB (CmaTotal)`, "CmaTotal: 4194304 kB\nCmaFree: 0 kB"},
		{"an area, without CMA", "one-node", "hugetlb_cma=8G", `
 warning : the kernel command line asks for an area of 8 GiB for pages on demand, but the kernel is built without CMA`, "MemFree: 1 kB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			edits := "-- proc/cmdline --\n" + test.cmdline + "\n"
			if test.host == "two-nodes" {
				edits += two
			}
			if test.cma != "" {
				edits += "-- proc/meminfo --\nMemTotal: 16384000 kB\nHugepagesize: 2048 kB\n" + test.cma + "\n"
			}
			findings, err := KernelCmdline(host.Host{Root: hosttest.Unpack(t, test.host, edits)})
			if got := guesttest.Show(findings); err != nil || got != strings.TrimPrefix(test.want, "\n") {
				t.Errorf("got:\n%s, %v\nwant:%s", got, err, test.want)
			}
			for _, f := range findings {
				if f.Need == "" || f.Do == "" {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// Pages that no boot of this host could have are not to be allocated now either.
func TestAskFor(t *testing.T) {
	for cmdline, want := range map[string]string{
		"hugepages=4000":                     "ask for fewer there, or allocate them now: vmhuge prepare --pages 4000 --size 2M",
		"hugepages=0:4000":                   "ask for fewer there, or allocate them now: vmhuge prepare --pages 4000 --size 2M --node 0",
		"hugepages=9000":                     "ask for at most 6976 there: more do not fit, as the host has 15.6 GiB and keeps 2 GiB of it",
		"hugepagesz=1G hugepages=9":          "ask for fewer there, or allocate them now: vmhuge prepare --pages 9 --size 1G",
		"hugepagesz=1G hugepages=10":         "ask for at most 9 there: more do not fit, as the host has 15.6 GiB and keeps 2 GiB of it",
		"default_hugepagesz=1G hugepages=64": "ask for at most 9 there: more do not fit, as the host has 15.6 GiB and keeps 2 GiB of it",
	} {
		findings, err := KernelCmdline(host.Host{Root: hosttest.Unpack(t, "one-node", "-- proc/cmdline --\n"+cmdline+"\n")})
		if err != nil || len(findings) != 1 || !strings.HasSuffix(findings[0].Do, want) {
			t.Errorf("%s: %v, %+v", cmdline, err, findings)
		}
	}
}
