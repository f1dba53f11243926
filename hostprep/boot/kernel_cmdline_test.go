package boot

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/cmdline"
	"vmhuge/internal/pages"
)

const size16GiB = 16 * pages.Size1GiB

// anyNode is a host with eight nodes.
func anyNode(node int) bool { return node < 8 }

// anySize is a kernel that has the sizes of x86 and one more.
func anySize(size pages.Size) bool {
	return slices.Contains([]pages.Size{pages.Size2MiB, pages.Size1GiB, size16GiB}, size)
}

func TestParseKernelCmdline(t *testing.T) {
	type in = map[Pool]int64
	type on = map[int]int64
	const m2, g1 = pages.Size2MiB, pages.Size1GiB
	for line, want := range map[string]Request{
		"ro quiet":                                            {},
		"ro hugepagesz=1G hugepages=2 quiet":                  {Pages: in{{g1, -1}: 2}},
		"hugepages=64":                                        {Pages: in{{m2, -1}: 64}},
		"hugepages=64x":                                       {Pages: in{{m2, -1}: 64}},
		"hugepages=0 hugepages=64":                            {},
		"hugepagesz=0x40000000 hugepages=2":                   {Pages: in{{g1, -1}: 2}},
		"hugepagesz=1024m hugepages=2":                        {Pages: in{{g1, -1}: 2}},
		`hugepagesz="1G" "hugepages=2"`:                       {Pages: in{{g1, -1}: 2}},
		`x="hugepages=9 hugepagesz=1G" hugepages=2`:           {Pages: in{{m2, -1}: 2}},
		"hugepagesz=1G hugepages=2 hugepagesz=2M hugepages=5": {Pages: in{{g1, -1}: 2, {m2, -1}: 5}},
		"hugepages=5 hugepagesz=1G hugepages=2":               {Pages: in{{g1, -1}: 2, {m2, -1}: 5}},
		"ro -- hugepages=5":                                   {},
		"hugetlb_cma=4G":                                      {Areas: on{-1: 4 << 30}},
		"hugetlb_cma=0":                                       {},
		"hugetlb_cma=0:2G,1:512M":                             {Areas: on{0: 2 << 30, 1: 512 << 20}},
		"hugetlb_cma=0:2G,1G hugetlb_cma=1:1G":                {Areas: on{0: 2 << 30, -1: 1 << 30, 1: 1 << 30}},
		"hugetlb_cma=4G hugetlb_cma=2G":                       {Areas: on{-1: 2 << 30}},
		"hugetlb_free_vmemmap=on hugepages=64":                {Pages: in{{m2, -1}: 64}, Freed: true},
		"hugetlb_free_vmemmap=on hugetlb_free_vmemmap=0":      {},
		"ro --x hugepages=5":                                  {Pages: in{{m2, -1}: 5}},
		"my.hugepages=5 nohugepages=5 hugepages":              {},

		// Per node.
		"hugepagesz=1G hugepages=0:2,1:3": {Pages: in{{g1, 0}: 2, {g1, 1}: 3}},
		"hugepages=1:3":                   {Pages: in{{m2, 1}: 3}},
		"hugepagesz=1G hugepages=1:0,0:1": {Pages: in{{g1, 0}: 1}},
		"hugepagesz=1G hugepages=0:2,5":   {}, // refused as a whole
		"hugepagesz=1G hugepages=0:x":     {},

		// The default, in both orders.
		"default_hugepagesz=1G hugepagesz=1G hugepages=2":                             {Default: g1, Pages: in{{g1, -1}: 2}},
		"default-hugepagesz=1G hugepages=2":                                           {Default: g1, Pages: in{{g1, -1}: 2}},
		"hugepages=2 default_hugepagesz=1G":                                           {Default: g1, Pages: in{{g1, -1}: 2}},
		"hugepages=0:1,1:1 default_hugepagesz=1G":                                     {Default: g1, Pages: in{{g1, 0}: 1, {g1, 1}: 1}},
		"hugepagesz=1G hugepages=2 default_hugepagesz=1G":                             {Default: g1, Pages: in{{g1, -1}: 2}},
		"hugepagesz=2M hugepages=4 default_hugepagesz=1G hugepages=2":                 {Default: g1, Pages: in{{g1, -1}: 2, {m2, -1}: 4}},
		"hugepages=3 default_hugepagesz=1G hugepagesz=1G hugepages=2":                 {Default: g1, Pages: in{{g1, -1}: 3}},
		"default_hugepagesz=1G default_hugepagesz=2M hugepages=2":                     {Default: g1},
		"default_hugepagesz=1G default_hugepagesz=2M hugepagesz=2M hugepages=2":       {Default: g1, Pages: in{{m2, -1}: 2}},
		"default_hugepagesz=8M hugepages=2 hugepagesz=2M hugepages=1":                 {Pages: in{{m2, -1}: 1}},
		"default_hugepagesz=1G hugepages=1 hugepagesz=1G hugepages=2 hugepages=3":     {Default: g1, Pages: in{{g1, -1}: 1}},
		"hugepagesz=2M hugepages=7 hugepagesz=1G default_hugepagesz=2M hugepages=9":   {Default: m2, Pages: in{{m2, -1}: 7, {g1, -1}: 9}}, // sic
		"hugepages=3 hugepagesz=2M hugepages=7":                                       {Pages: in{{m2, -1}: 3}},
		"hugepagesz=1G hugepages=1 hugepagesz=1G hugepages=2":                         {Pages: in{{g1, -1}: 1}},
		"hugepagesz=1G hugepagesz=1G hugepages=2":                                     {},
		"hugepagesz=1G hugepages=1 hugepages=2":                                       {Pages: in{{g1, -1}: 1}},
		"hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=2 hugepages=3":             {Pages: in{{g1, -1}: 1, {m2, -1}: 2}},
		"hugepagesz=3G hugepages=1 hugepagesz=2M hugepages=2":                         {Pages: in{{m2, -1}: 2}},
		"hugepagesz=2M hugepages=2 hugepagesz=3G hugepages=9 hugepages=5 quiet quiet": {Pages: in{{m2, -1}: 2}},
	} {
		if want.Pages == nil {
			want.Pages = in{}
		}
		if want.Areas == nil {
			want.Areas = on{}
		}
		if diff := cmp.Diff(want, ParseCmdline(line, m2, anySize, anyNode), cmp.AllowUnexported(Pool{})); diff != "" {
			t.Errorf("%s: -want +got:\n%s", line, diff)
		}
	}
}

func TestBootOptions(t *testing.T) {
	for want, test := range map[string]struct {
		pages       []PoolPages
		defaultSize pages.Size
		areas       []Area
	}{
		"":                       {},
		"hugetlb_cma=16G":        {nil, 0, []Area{{-1, 16}}},
		"hugetlb_cma=0:8G,1:4G":  {nil, 0, []Area{{1, 4}, {0, 8}}},
		"hugetlb_cma=0:10G,1:1G": {nil, 0, []Area{{0, 8}, {-1, 3}}},
		"hugepagesz=2M hugepages=7 hugetlb_cma=1:2G":            {[]PoolPages{{pages.Size2MiB, 7, -1}}, 0, []Area{{1, 2}}},
		"hugepagesz=1G hugepages=2":                             {[]PoolPages{{pages.Size1GiB, 2, -1}}, 0, nil},
		"hugepagesz=2M hugepages=7 hugepagesz=1G hugepages=2":   {[]PoolPages{{pages.Size1GiB, 2, -1}, {pages.Size2MiB, 3, -1}, {pages.Size2MiB, 4, -1}}, 0, nil},
		"default_hugepagesz=1G hugepagesz=1G hugepages=0:2,1:1": {[]PoolPages{{pages.Size1GiB, 1, 1}, {pages.Size1GiB, 2, 0}}, pages.Size1GiB, nil},
		"hugepagesz=1G hugepages=1:2":                           {[]PoolPages{{pages.Size1GiB, 2, 1}}, 0, nil},
		"hugepagesz=1G hugepages=0:2,1:5":                       {[]PoolPages{{pages.Size1GiB, 4, 1}, {pages.Size1GiB, 3, -1}}, 0, nil},
		"default_hugepagesz=16G":                                {nil, size16GiB, nil},
	} {
		if got := (options{pages: test.pages, areas: test.areas, defaultSize: test.defaultSize}).words([]int{0, 1}); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// What is put on a line comes off it again, and is what the kernel is asked for.
func FuzzKernelCmdline(f *testing.F) {
	for _, line := range []string{
		"", " ", "-- single", "BOOT_IMAGE=/vmlinuz root=UUID=1 ro quiet splash ", "hugepages=5", `a="b -- c" -- d`, "\t--\t", "x --", "default_hugepagesz=1G",
		"quiet vmhuge.begin hugepages=1 vmhuge.end ro", "vmhuge.begin vmhuge.end", "vmhuge.begin hugepages=1", "hugepagesz=1G hugepages=0:1,1:1 hugepages=9223372036854775807",
	} {
		f.Add(line)
	}
	const ours = "hugepagesz=16G hugepages=0:3"
	f.Fuzz(func(t *testing.T, line string) {
		before := ParseCmdline(line, pages.Size2MiB, anySize, anyNode)
		for pool, n := range before.Pages {
			if n <= 0 || !anySize(pool.Size) || pool.Node < -1 {
				t.Errorf("%q asks for %d pages of %v", line, n, pool)
			}
		}
		if strings.Contains(line, cmdline.Begin) || strings.Contains(line, cmdline.End) {
			off := cmdline.With(line, "")
			if again := cmdline.With(off, ""); !cmdline.Marked.Get().MatchString(off) && again != off {
				t.Errorf("%q became %q and then %q", line, off, again)
			}
			return
		}
		on := cmdline.With(line, ours)
		if got := cmdline.With(on, ""); got != line || cmdline.Ours(on) != ours || cmdline.With(on, ours) != on {
			t.Errorf("%q became %q, and then %q", line, on, got)
		}
		if strings.ContainsAny(line, "\"\n\r\v\f") || before.Of(size16GiB) > 0 || strings.Contains(line, "16") || strings.Contains(line, "17179869184") {
			return
		}
		if after := ParseCmdline(on, pages.Size2MiB, anySize, anyNode); after.Pages[Pool{size16GiB, 0}] != 3 && after.Default != size16GiB {
			t.Errorf("%q asks for %v", on, after)
		}
	})
}
