package slips

import (
	"strings"
	"testing"

	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// What the kernel ignores or takes for something else is found, with the right
// spelling; what it takes as it stands is not.
func TestCmdlineSlips(t *testing.T) {
	for line, want := range map[string]string{
		"quiet ro iommu=pt": "",
		"default_hugepagesz=1G hugepagesz=1G hugepages=8 hugepagesz=2M hugepages=0:64,1:64":    "",
		"hugepages=64 hugepagesz=1G hugepages=8":                                               "",
		"hugepages=64 default_hugepagesz=1G":                                                   "",
		"hugepagesz=1G":                                                                        "",
		"hugepages=512 hugepagesz=2M":                                                          "",
		"transparent-hugepage=madvise default-hugepagesz=1G sysctl.vm.nr_hugepages=8":          "",
		"hugetlb_cma=4G transparent_hugepage=never hugetlb_free_vmemmap=on nouveau.hugepage=1": "",
		"foo.hugepages:4": "",

		"hugepagesz=2MB hugepages=8":           "",
		"hugepagesz=1GiB hugepages=4":          "",
		"hugepagesz=1048576k hugepages=4":      "",
		`hugepages="8"`:                        "",
		`"hugepages=8"`:                        "",
		"hugetlb_cma=0":                        "",
		"hugetlb_cma=0:2G,1:2G":                "",
		"sysctl.vm/nr_hugepages=8":             "",
		"nohugepages hugetlb=4G thp=x":         "",
		"numa_balancing=disable hugepages=0:8": "",

		"hugepages=0x10":               "hugepages=0x10 is hexadecimal, which the kernel does not read here: it reads 0 pages → hugepages=16",
		"hugepages=0:4,1:0XfF":         "hugepages=0:4,1:0XfF is hexadecimal, which the kernel does not read here: it reads 0 pages → hugepages=0:4,1:255",
		"hugepages=0xg":                "hugepages=0xg has more than a number as its count: the kernel reads 0 pages of 2 MiB → hugepages=N, a number of pages",
		"hugepages=1e3":                "hugepages=1e3 has more than a number as its count: the kernel reads 1 page of 2 MiB → hugepages=N, a number of pages",
		"hugepages = 8":                "hugepages has no count, so that the kernel reserves nothing for it → hugepages=N, a number of pages",
		"hugepages=8,":                 "",
		"hugepages=0:8,1:8,":           "",
		"hugepages=0:8,8":              "hugepages=0:8,8 has a count without a node among those with one, so that the kernel reserves nothing for it → hugepages=NODE:N,NODE:N",
		"hugepages=node0:4":            `hugepages=node0:4 names the node "node0", so that the kernel reserves nothing for it → hugepages=NODE:N, both numbers`,
		"HUGEPAGES=8":                  "HUGEPAGES=8 is not an option of the kernel, which ignores it → hugepages=8",
		"hugepagesz=1G,hugepages=4":    "hugepagesz=1G,hugepages=4 has two options in one word, of which the kernel reads only the size → hugepagesz=1G hugepages=4",
		"hugepages=8;hugepagesz=1G":    "hugepages=8;hugepagesz=1G has more than a number as its count: the kernel reads 8 pages of 2 MiB → hugepages=N, a number of pages",
		"hugepagsz=1G":                 "hugepagsz=1G is not an option of the kernel, which ignores it → hugepagesz=1G",
		"hugpages=8":                   "hugpages=8 is not an option of the kernel, which ignores it → hugepages=8",
		"hugtlb_cma=4G":                "hugtlb_cma=4G is not an option of the kernel, which ignores it → hugetlb_cma=4G",
		"default_hugepgesz=1G":         "default_hugepgesz=1G is not an option of the kernel, which ignores it → default_hugepagesz=1G",
		"transparent_hugpage=never":    "transparent_hugpage=never is not an option of the kernel, which ignores it → transparent_hugepage=never",
		"transparent_hugepage=on":      "transparent_hugepage=on is not one of always, madvise and never, so that the kernel ignores it → transparent_hugepage=always",
		"transparent_hugepage=advise":  "transparent_hugepage=advise is not one of always, madvise and never, so that the kernel ignores it → transparent_hugepage=madvise",
		"transparent_hugepage=Never":   "transparent_hugepage=Never is not one of always, madvise and never, so that the kernel ignores it → transparent_hugepage=never",
		"transparent_hugepage=disable": "transparent_hugepage=disable is not one of always, madvise and never, so that the kernel ignores it → transparent_hugepage=never",
		"hugetlb_cma=2":                "hugetlb_cma=2 is less than a page of 1 GiB, so that the kernel sets nothing aside: a number without K, M or G counts bytes → hugetlb_cma=2G",
		"hugetlb_cma=0:2,1:2G":         "hugetlb_cma=0:2,1:2G is less than a page of 1 GiB on node 0, so that the kernel sets nothing aside there: a number without K, M or G counts bytes → hugetlb_cma=0:2G,1:2G",
		"sysctl.vm.nr_hugepage=8":      "sysctl.vm.nr_hugepage=8 is not a setting of the kernel, so that nothing happens → sysctl.vm.nr_hugepages=8",
		"sysctl.vm.hugetlb_group=36":   "sysctl.vm.hugetlb_group=36 is not a setting of the kernel, so that nothing happens → sysctl.vm.hugetlb_shm_group=36",
		"hugepages=0:4 hugepages=1:4":  "hugepages=1:4 is a second count for one page size, of which the kernel takes the first → hugepages=0:4,1:4",
		"hugepagesz=1G hugepages=-1":   "hugepages=-1 has no count, so that the kernel reserves nothing for it → hugepages=N, a number of pages",
		"hugepagesz= hugepages=4":      "hugepagesz= names a size that this kernel can't have: a number without K, M or G counts bytes → hugepagesz=2M or 1G",

		"hugepagesz=1G hugepages=4 default_hugepagesz=1G hugepages=8":          "hugepages=8 is ignored by the kernel, which has a count for pages of that size from an earlier hugepages= → ",
		"hugepages=512 hugepagesz=1G hugepages=2 hugepagesz=2M hugepages=4096": "hugepages=4096 is ignored by the kernel, which has a count for pages of that size from an earlier hugepages= → ",
		"hugepages=512 hugepagesz=1G hugepages=2 hugepages=0":                  "hugepages=0 is a second count for one page size, of which the kernel takes the first → ",
		"transparent_hugepage=never quiet transparent_hugepage=madvise":        "transparent_hugepage=never is overridden by transparent_hugepage=madvise, which comes later → ",
		"transparent_hugepage=never quiet transparent_hugepage=never":          "",
		"numa=off hugepages=0:4,2:4":                                           "hugepages=0:4,2:4 names node 2, which does not exist with numa=off, so that the kernel refuses the whole option and reserves none of its pages → hugepages=N, the sum of all nodes",
		"hugepages=8 hugepagesz=1G quiet":                                      "hugepages=8 comes before hugepagesz=1G, so that the kernel takes it for pages of 2 MiB → hugepagesz=1G hugepages=8",
		"hugepages=8 hugepagesz=1G default_hugepagesz=1G":                      "",
		"hugepages=8 hugepagesz=1G default_hugepagesz=2M":                      "hugepages=8 comes before hugepagesz=1G, so that the kernel takes it for pages of 2 MiB → hugepagesz=1G hugepages=8",
		"hugepages=8 hugepagesz=2M quiet default-hugepagesz=1G":                "hugepages=8 comes before hugepagesz=2M, so that the kernel takes it for pages of 1 GiB → hugepagesz=2M hugepages=8",
		"hugepages=512 hugepagesz=2M default_hugepagesz=1048576":               "default_hugepagesz=1048576 names a size that this kernel can't have: a number without K, M or G counts bytes → default_hugepagesz=1G",
		"hugepages:8":                                           "hugepages:8 has a : where the kernel wants =, so that the kernel ignores it → hugepages=8",
		"hugepagesz:1G hugepages=8":                             "hugepagesz:1G has a : where the kernel wants =, so that the kernel ignores it, and takes hugepages=8 after it for pages of 2 MiB → hugepagesz=1G",
		"hugepagez=1G hugepages=12":                             "hugepagez=1G is not an option of the kernel, which ignores it, and takes hugepages=12 after it for pages of 2 MiB → hugepagesz=1G",
		"hugepages=64 hugepagez=1G hugepages=12":                "hugepagez=1G is not an option of the kernel, which ignores it, as it does hugepages=12 after it, then a second count for pages of 2 MiB → hugepagesz=1G",
		"hugepagesz=1G hugepages=2 hugepagessz=2M hugepages=12": "hugepagessz=2M is not an option of the kernel, which ignores it, as it does hugepages=12 after it, then a second count for pages of 1 GiB → hugepagesz=2M",
		"default_hugepagez=1G quiet hugepages=4":                "default_hugepagez=1G is not an option of the kernel, which ignores it, and takes hugepages=4 after it for pages of 2 MiB → default_hugepagesz=1G",
		"hugepagez=1G hugepagesz=2M hugepages=4":                "hugepagez=1G is not an option of the kernel, which ignores it → hugepagesz=1G",
		"hugepages=0:512,1:512,2:512":                           "hugepages=0:512,1:512,2:512 names node 2, which this host does not have, so that the kernel refuses the whole option and reserves none of its pages → hugepages=0:512,1:512",
		"hugepagesz=1G hugepages=7:4":                           "hugepages=7:4 names node 7, which this host does not have, so that the kernel refuses the whole option and reserves none of its pages → hugepages=N, or NODE:N for node 0-1",
		"hugepage=64":                                           "hugepage=64 is not an option of the kernel, which ignores it → hugepages=64",
		"HugePages=64":                                          "HugePages=64 is not an option of the kernel, which ignores it → hugepages=64",
		"hugepagesize=1G":                                       "hugepagesize=1G is not an option of the kernel, which ignores it → hugepagesz=1G",
		"default-hugepages=1G":                                  "default-hugepages=1G is not an option of the kernel, which ignores it → default_hugepagesz=1G",
		"transparent_hugepages=never":                           "transparent_hugepages=never is not an option of the kernel, which ignores it → transparent_hugepage=never",
		"vm.nr_hugepages=64":                                    "vm.nr_hugepages=64 is not an option of the kernel, which ignores it → hugepages=64, or sysctl.vm.nr_hugepages=64",
		"nr_hugepages=64":                                       "nr_hugepages=64 is not an option of the kernel, which ignores it → hugepages=64",
		"ro -- hugepages=512":                                   "hugepages=512 comes after --, so that the kernel passes it to init → hugepages=512 before the --",
		"hugepages=8G":                                          "hugepages=8G has a unit, but is a count: the kernel reads 8 pages of 2 MiB → hugepages=4096 for 8 GiB in pages of 2 MiB, or hugepagesz=1G hugepages=8",
		"hugepages=0:4,1:4x":                                    "hugepages=0:4,1:4x has more than a number as its count: the kernel reads 4 pages of 2 MiB and stops there → hugepages=N, a number of pages",
		"hugepages=1,073":                                       "hugepages=1,073 has a separator in its count: the kernel reads 1 page of 2 MiB → hugepages=1073",
		"hugepages=512MB":                                       "hugepages=512MB has a unit, but is a count: the kernel reads 512 pages of 2 MiB → hugepages=256 for 512 MiB in pages of 2 MiB",
		"hugepages=0:2G,1:1G":                                   "hugepages=0:2G,1:1G has a unit, but is a count: the kernel reads 2 pages of 2 MiB and stops there → hugepages=0:1024,1:512 for 3 GiB in pages of 2 MiB",
		"hugepage=8G":                                           "hugepage=8G is not an option of the kernel, which ignores it → hugepages=4096",
		"hugepagesz=1G hugepages:8G":                            "hugepages:8G has a : where the kernel wants =, so that the kernel ignores it → hugepages=8",
		"vm.nr_hugepages=2G":                                    "vm.nr_hugepages=2G is not an option of the kernel, which ignores it → hugepages=1024, or sysctl.vm.nr_hugepages=1024",
		"sysctl.vm.nr_hugepages=2G":                             "sysctl.vm.nr_hugepages=2G is not a number, so that the kernel refuses it → sysctl.vm.nr_hugepages=1024 for 2 GiB in pages of 2 MiB",
		"hugepages=all":                                         "hugepages=all has no count, so that the kernel reserves nothing for it → hugepages=N, a number of pages",
		"hugepagesz=2048 hugepages=4":                           "hugepagesz=2048 names a size that this kernel can't have: a number without K, M or G counts bytes → hugepagesz=2M",
		"default_hugepagesz=1048576":                            "default_hugepagesz=1048576 names a size that this kernel can't have: a number without K, M or G counts bytes → default_hugepagesz=1G",
		"hugepagesz=32M hugepages=4":                            "hugepagesz=32M hugepages=4 names a size that this kernel does not have, so that it reserves none of these pages → hugepagesz=2M hugepages=64 for 128 MiB in pages of 2 MiB",
		"hugepagesz=16G":                                        "hugepagesz=16G names a size that this kernel does not have, so that it ignores that and the count after it → hugepagesz=2M or 1G",
		"hugepagesz=64K hugepages=4":                            "hugepagesz=64K names a size that this kernel does not have, so that it ignores that and the count after it → hugepagesz=2M or 1G",
		"default_hugepagesz=512M":                               "default_hugepagesz=512M names a size that this kernel does not have, so that its default stays 2 MiB → default_hugepagesz=2M or 1G",
		"hugepages=8 default_hugepagesz=16M hugepagesz=1G hugepages=2": "default_hugepagesz=16M names a size that this kernel does not have, so that its default stays 2 MiB → default_hugepagesz=2M or 1G",
		"hugepagesz=3M":                    "hugepagesz=3M names a size that this kernel can't have: a number without K, M or G counts bytes → hugepagesz=2M or 1G",
		"hugepages=64 quiet hugepages=128": "hugepages=128 is a second count for one page size, of which the kernel takes the first → ",
		"hugepagesz=1G hugepages=2 hugepagesz=2M hugepages=8 hugepagesz=1G hugepages=4": "hugepagesz=1G names a size a second time, and the kernel takes only the first count → ",
		"default_hugepagesz=2M default_hugepagesz=1G":                                   "default_hugepagesz=1G comes after default_hugepagesz=2M, and the kernel takes the first → ",
		"hugetlb_cma=8G hugepagesz=1G hugepages=4":                                      "hugetlb_cma=8G is combined with hugepages= for 4 pages of 1 GiB, which makes the kernel skip the pages of that size at boot → one of the two: leave hugetlb_cma= out to reserve the pages at boot",
	} {
		got := ""
		for _, s := range (kernel{Kernel: boot.Kernel{CMA: true, Cmdline: line, Standard: pages.Size2MiB, Sizes: []pages.Size{pages.Size2MiB, pages.Size1GiB}, Nodes: []int{0, 1}}}).slips() {
			if got += s.Word + " " + s.Why + " → " + s.Right; s.Where != "" {
				t.Errorf("%q: %+v", line, s)
			}
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", line, got, want)
		}
	}
}

// A count is of the size that stands before it, and what it should be is said in pages of
// that size: of 1 GiB, 1024 for 2 GiB would be a terabyte.
func TestCountsWithUnits(t *testing.T) {
	const m, g = pages.Size(pages.MiB), pages.Size1GiB
	amd64, s390x, arm64 := []pages.Size{2 * m, g}, []pages.Size{m, 2 * g}, []pages.Size{2 * m, 512 * m, 16 * g}
	for line, test := range map[string]struct {
		sizes       []pages.Size
		standard    pages.Size
		reads       string
		right       string
		works, twin bool // twin: another slip is found before it
	}{
		"default_hugepagesz=1G hugepages=2G":               {amd64, 2 * m, "2 pages of 1 GiB, which are the 2 GiB that it names", "hugepages=2", true, false},
		"hugepagesz=1G hugepages=8G":                       {amd64, 2 * m, "8 pages of 1 GiB, which are the 8 GiB that it names", "hugepages=8", true, false},
		"hugepages=8G quiet default_hugepagesz=1G":         {amd64, 2 * m, "8 pages of 1 GiB, which are the 8 GiB that it names", "hugepages=8", true, false},
		"default_hugepagesz=1G hugepagesz=2M hugepages=8G": {amd64, 2 * m, "8 pages of 2 MiB", "hugepages=4096 for 8 GiB in pages of 2 MiB, or hugepagesz=1G hugepages=8", false, false},
		"hugepagesz=1G hugepages=4096M":                    {amd64, 2 * m, "4096 pages of 1 GiB", "hugepages=4 for 4 GiB in pages of 1 GiB", false, false},
		"hugepagesz=1G hugepages=512M":                     {amd64, 2 * m, "512 pages of 1 GiB", "hugepages=N, a number of pages", false, false},
		"hugepagesz=1G hugepages=1,024":                    {amd64, 2 * m, "1 page of 1 GiB", "hugepages=1024", false, false},
		"hugepagesz=1 hugepages=8G":                        {amd64, 2 * m, "8 pages", "hugepages=N, a number of pages", false, true},
		"quiet hugepages=4G":                               {amd64[:1], 2 * m, "4 pages of 2 MiB", "hugepages=2048 for 4 GiB in pages of 2 MiB", false, false},
		"ro hugepages=2G":                                  {s390x, m, "2 pages of 1 MiB", "hugepages=2048 for 2 GiB in pages of 1 MiB", false, false},
		"ro hugepages=8G":                                  {arm64, 512 * m, "8 pages of 512 MiB", "hugepages=16 for 8 GiB in pages of 512 MiB", false, false},
		"hugepagesz=2M hugepages=8G ":                      {arm64, 512 * m, "8 pages of 2 MiB", "hugepages=4096 for 8 GiB in pages of 2 MiB", false, false},
	} {
		slips := kernel{Kernel: boot.Kernel{Cmdline: line, Standard: test.standard, Sizes: test.sizes}}.slips()
		if test.twin && len(slips) == 2 {
			slips = slips[1:]
		}
		if len(slips) != 1 || !strings.HasSuffix(slips[0].Why, ": the kernel reads "+test.reads) || slips[0].Right != test.right || slips[0].Works != test.works {
			t.Errorf("%s: %+v", line, slips)
		}
	}
}

// What is corrected leaves the host its share, as vmhuge prepare --persist does; else the most
// that fits is said.
func TestCountsThatFit(t *testing.T) {
	sizes := []pages.Size{pages.Size2MiB, pages.Size1GiB}
	for line, want := range map[string]string{
		"hugepages=13 hugepagesz=1G":                              "hugepagesz=1G hugepages=13",
		"hugepages=16 hugepagesz=1G":                              "hugepagesz=1G hugepages=13, as 16 pages of 1 GiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it",
		"hugepages=16 hugepagesz=1G nr_hugepages=4":               "hugepagesz=1G hugepages=13, as 16 pages of 1 GiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it | hugepages=4",
		"hugepages=8G":                                            "hugepages=4096 for 8 GiB in pages of 2 MiB, or hugepagesz=1G hugepages=8",
		"hugepages=16G":                                           "hugepages=6976, as 8192 pages of 2 MiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it",
		"hugepages=8G hugepagesz=1G hugepages=8":                  "hugepages=2880, as 4096 pages of 2 MiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it, and 8 GiB is reserved besides",
		"hugepagesz:1G hugepages=64":                              "hugepagesz=1G with hugepages=13 after it, as 64 pages of 1 GiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it",
		"hugepages=0:8G,1:8G":                                     "hugepages=NODE:N,NODE:N with at most 6976 pages in all, as 8192 pages of 2 MiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it",
		"hugepages:9000":                                          "hugepages=6976, as 9000 pages of 2 MiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it",
		"vm.nr_hugepages=9000":                                    "hugepages=6976, as 9000 pages of 2 MiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it",
		"sysctl.vm.nr_hugepage=9000":                              "sysctl.vm.nr_hugepages=6976, as 9000 pages of 2 MiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it",
		"ro -- hugepages=9000":                                    "hugepages=6976, as 9000 pages of 2 MiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it",
		"hugepagesz=2M hugepages=6900 hugepage=1":                 "hugepages=1",
		"hugepages=1 hugepagesz=1G hugetlb_cma=13G":               "hugepagesz=1G hugepages=1",
		"hugepages=16 hugepagesz=1G default_hugepagesz=1M":        "hugepagesz=1G hugepages=13, as 16 pages of 1 GiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it | default_hugepagesz=1G",
		"hugepagesz=2M hugepages=6970 hugepagesz:1G quiet":        "hugepagesz=1G",
		"hugepages=512 hugepagesz=1G":                             "hugepagesz=1G hugepages=13, as 512 pages of 1 GiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it; or without hugepagesz=1G, if pages of 2 MiB are meant",
		"hugepages=0x2000":                                        "hugepages=6976, as 8192 pages of 2 MiB do not fit: the host has 15.6 GiB and keeps 2 GiB of it",
		"hugepagesz=2M hugepages=6976 hugepagessz=1G hugepages=1": "none of these pages, as 1 page of 1 GiB does not fit: the host has 15.6 GiB and keeps 2 GiB of it, and 13.6 GiB is reserved besides",
	} {
		k := kernel{boot.Kernel{Cmdline: line, Standard: pages.Size2MiB, Sizes: sizes, Nodes: []int{0, 1}}, room{total: 16000 * pages.MiB, kept: 2 * pages.GiB}}
		var got []string
		for _, s := range k.slips() {
			got = append(got, s.Right)
		}
		if text := strings.Join(got, " | "); text != want {
			t.Errorf("%s:\ngot  %s\nwant %s", line, text, want)
		}
	}
}

// A count for pages that the processor does not have is said in those that it has.
func TestCountsOfOtherSizes(t *testing.T) {
	for line, want := range map[string]string{
		"hugepagesz=1G hugepages=4":                       "hugepagesz=1G hugepages=4 → hugepagesz=2M hugepages=2048 for 4 GiB in pages of 2 MiB",
		"default_hugepagesz=1G hugepages=4":               "default_hugepagesz=1G hugepages=4 → default_hugepagesz=2M hugepages=2048 for 4 GiB in pages of 2 MiB",
		"default_hugepagesz=1G hugepagesz=1G hugepages=4": "default_hugepagesz=1G → default_hugepagesz=2M | hugepagesz=1G hugepages=4 → hugepagesz=2M hugepages=2048 for 4 GiB in pages of 2 MiB",
		"hugepagesz=1G quiet hugepages=8":                 "hugepagesz=1G … hugepages=8 → hugepagesz=2M hugepages=3024, as 4096 pages of 2 MiB do not fit: the host has 7.9 GiB and keeps 2 GiB of it",
		"hugepagesz=1G hugepages=0:2,1:2":                 "hugepagesz=1G → hugepagesz=2M",
		"hugepagesz=1G hugepages=0":                       "hugepagesz=1G → hugepagesz=2M",
		"hugetlb_cma=4G":                                  "hugetlb_cma=4G → hugepages=N, for pages of 2 MiB",
	} {
		k := kernel{boot.Kernel{CMA: true, Cmdline: line, Standard: pages.Size2MiB, Sizes: []pages.Size{pages.Size2MiB}}, room{total: 8096 * pages.MiB, kept: 2 * pages.GiB}}
		var got []string
		for _, s := range k.slips() {
			got = append(got, s.Word+" → "+s.Right)
		}
		if text := strings.Join(got, " | "); text != want {
			t.Errorf("%s:\ngot  %s\nwant %s", line, text, want)
		}
	}
}

// An area is whole gigantic pages, on each node that is named or in all, and pages of that
// size at boot are skipped beside one.
func TestAreas(t *testing.T) {
	const m, g = pages.Size(pages.MiB), pages.Size1GiB
	amd64, arm64, s390x := []pages.Size{2 * m, g}, []pages.Size{2 * m, 512 * m, 16 * g}, []pages.Size{m, 2 * g}
	for _, test := range []struct {
		line, release string
		sizes         []pages.Size
		noCMA         bool
		want          string
	}{
		{"hugetlb_cma=1G", "6.12.0", amd64, false, ""},
		{"hugetlb_cma=512M", "6.12.0", amd64, false, "is less than a page of 1 GiB, so that the kernel sets nothing aside → hugetlb_cma=1G"},
		{"hugetlb_cma=4096", "6.12.0", amd64, false, "is less than a page of 1 GiB, so that the kernel sets nothing aside: a number without K, M or G counts bytes → hugetlb_cma=4T"},
		{"hugetlb_cma=512M", "6.12.0", arm64, false, "is less than a page of 16 GiB, so that the kernel sets nothing aside → hugetlb_cma=16G"},
		{"hugetlb_cma=1G", "6.12.0", s390x, false, "is less than a page of 2 GiB, so that the kernel sets nothing aside → hugetlb_cma=2G"},
		{"hugetlb_cma=1536M", "6.12.0", amd64, false, "is not a multiple of 1 GiB, which some kernels round up and others refuse → hugetlb_cma=2G"},
		{"hugetlb_cma=0:512M,1:2G", "6.12.0", amd64, false, "is less than a page of 1 GiB on node 0, so that the kernel sets nothing aside there → hugetlb_cma=0:1G,1:2G"},
		{"hugetlb_cma=0:2G,7:2G", "6.12.0", amd64, false, "names node 7, which this host does not have → hugetlb_cma=0:2G"},
		{"hugetlb_cma=20%", "7.9.0", amd64, false, ""},
		{"hugetlb_cma=512M", "6.12.0", amd64, true, ""},
		{"hugetlb_cma=8G hugepagesz=1G hugepages=4", "6.12.0", amd64, true, ""},
		{"hugetlb_cma=512M hugepagesz=1G hugepages=4", "6.12.0", amd64, false, "is less than a page of 1 GiB, so that the kernel sets nothing aside → hugetlb_cma=1G"},
		{"hugetlb_cma=8G default_hugepagesz=1G hugepages=4", "6.12.0", amd64, false, "is combined with hugepages= for 4 pages of 1 GiB, which makes the kernel skip the pages of that size at boot → one of the two: leave hugetlb_cma= out to reserve the pages at boot"},
		{"hugepagesz=1G hugepages=0:2,1:4", "5.10.0", amd64, false, "names nodes, which the kernel supports since 5.16: this one reads 0 pages → hugepages=N, a number of pages for all nodes"},
		{"hugepagesz=1G hugepages=0:2,1:4", "5.16.0", amd64, false, ""},
		{"hugetlb_cma=8G hugepages=4", "6.12.0", amd64, false, ""},
		{"hugetlb_cma=8G hugetlb_cma_only=on hugepagesz=1G hugepages=4", "6.15.2", amd64, false, ""},
		{"hugetlb_cma=8G hugetlb_cma_only=on", "6.12.0", amd64, false, "is an option of Linux 6.15 and later, so that this kernel ignores it → "},
		{"hugetlb_cma_only=on hugepagesz=1G hugepages=4", "7.0.0", amd64, false, "does nothing without an area → hugetlb_cma_only=on together with hugetlb_cma=, or neither"},
		{"hugetlb_cma_only=off", "7.0.0", amd64, false, ""},
	} {
		k := kernel{Kernel: boot.Kernel{CMA: !test.noCMA, Release: test.release, Cmdline: test.line, Standard: test.sizes[0], Sizes: test.sizes, Nodes: []int{0, 1}}}
		got := ""
		for _, s := range k.slips() {
			got += s.Why + " → " + s.Right
		}
		if got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.line, got, test.want)
		}
	}
}

// What waits in the boot loader's files is looked at before a kernel has been booted with it, and
// what has been is named with its file.
func TestSlipsOfNextBoot(t *testing.T) {
	const grub = "-- usr/sbin/grub-mkconfig --\n. ${sysconfdir}/default/grub\nfor x in ${sysconfdir}/default/grub.d/*.cfg\n"
	menu := func(words string) string {
		return "-- boot/grub/grub.cfg --\nmenuentry 'Debian' {\n\tlinux\t/vmlinuz-6.1 root=/dev/vda ro " + words + "\n}\n"
	}
	const waits = "-- etc/default/grub --\n#GRUB_CMDLINE_LINUX=\"hugepage=8\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n-- etc/default/grub.d/huge.cfg --\nGRUB_CMDLINE_LINUX=\"hugepage=8\"\n"
	const tuned = "-- etc/tuned/active_profile --\nvms\n-- usr/lib/systemd/system/multi-user.target.wants/tuned.service --\n[Service]\n-- etc/tuned/vms/tuned.conf --\n[bootloader]\ncmdline_vms=+hugepagesz=1X hugepages=2\n"
	for name, test := range map[string]struct{ files, want string }{
		"right":                {grub + strings.ReplaceAll(waits, "hugepage=", "hugepages=") + menu("quiet hugepages=8"), ""},
		"before update-grub":   {grub + waits + menu("quiet"), "/etc/default/grub.d/huge.cfg: hugepage=8; update-grub"},
		"after it":             {grub + waits + menu("quiet hugepage=8"), "/etc/default/grub.d/huge.cfg: hugepage=8; update-grub"},
		"booted":               {grub + waits + menu("quiet hugepage=8") + "-- proc/cmdline --\nquiet hugepage=8\n", "/etc/default/grub.d/huge.cfg: hugepage=8; update-grub"},
		"in the menu alone":    {grub + "-- etc/default/grub --\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n" + menu("hugepage=8"), "/boot/grub/grub.cfg: hugepage=8; update-grub"},
		"nobody knows whence":  {"-- proc/cmdline --\nquiet hugepage=8\n", ": hugepage=8; "},
		"entries":              {"-- etc/default/grub --\nGRUB_ENABLE_BLSCFG=true\n-- boot/loader/entries/a-6.1.conf --\nlinux /vmlinuz\noptions ro hugepage=5\n-- boot/loader/entries/b-6.2.conf --\nlinux /vmlinuz\noptions ro hugepage=5\n", "/boot/loader/entries/a-6.1.conf: hugepage=5; \n/boot/loader/entries/b-6.2.conf: hugepage=5; "},
		"tuned's profile":      {grub + menu("quiet") + tuned, "/etc/tuned/vms/tuned.conf:2: hugepagesz=1X; systemctl restart tuned"},
		"no kernel has one":    {"", ""},
		"another default size": {grub + menu("quiet") + "-- etc/default/grub --\nGRUB_CMDLINE_LINUX=\"default_hugepagesz=1G sysctl.vm.nr_hugepages=4G\"\n", "/etc/default/grub: sysctl.vm.nr_hugepages=4G; update-grub"},
	} {
		t.Run(name, func(t *testing.T) {
			slips, err := OnCmdline(host.Host{Root: hosttest.Unpack(t, "one-node", test.files)})
			var got []string
			for _, s := range slips {
				got = append(got, s.Where+": "+s.Word+"; "+s.After)
			}
			if text := strings.Join(got, "\n"); err != nil || text != test.want {
				t.Errorf("got:\n%s\n%v\nwant:\n%s", text, err, test.want)
			}
		})
	}
}
