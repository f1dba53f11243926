package xml

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// guest makes a document of parts; those without <memory> get 64 MiB.
func guest(parts ...string) []byte {
	inside := strings.Join(parts, "")
	if !strings.Contains(inside, "<memory>") && !strings.Contains(inside, "<memory unit") {
		inside += "<memory unit='MiB'>64</memory>"
	}
	return []byte("<domain type='kvm'><name>web1</name>" + inside + "</domain>")
}

func backed(inside string) string { return "<memoryBacking>" + inside + "</memoryBacking>" }

func numa(cells string) string { return "<cpu><numa>" + cells + "</numa></cpu>" }

const (
	bare    = "<hugepages/>"
	page2M  = "<hugepages><page size='2048' unit='KiB'/></hugepages>"
	page1G  = "<hugepages><page size='1' unit='GiB'/></hugepages>"
	twoOf64 = "<cell id='0' cpus='0' memory='64' unit='MiB'/><cell id='1' cpus='1' memory='64' unit='MiB'/>"
)

func device(model, inside string) string {
	return "<devices><memory model='" + model + "'>" + inside + "</memory></devices>"
}

const target128 = "<target><size unit='MiB'>128</size><node>1</node></target>"

func TestDemand(t *testing.T) {
	ram := pages.Item{GuestNode: -1, Kind: pages.RAM, PageSize: pages.Size2MiB, Pages: 32, MemoryKiB: 65536, Source: "file"}
	with := func(item pages.Item, change func(*pages.Item)) pages.Item { change(&item); return item }
	cell0 := with(ram, func(i *pages.Item) { i.GuestNode, i.Kind = 0, pages.Cell })
	cell1 := with(cell0, func(i *pages.Item) { i.GuestNode = 1 })
	dimm := with(cell1, func(i *pages.Item) { i.Kind, i.Pages, i.MemoryKiB = pages.DIMM, 64, 131072 })
	bound := func(item pages.Item, nodes string, mode pages.Mode) pages.Item {
		item.HostNodes, item.Mode = nodes, mode
		return item
	}
	ownNodes := func(item pages.Item, nodes string, mode pages.Mode) pages.Item {
		item.OwnNodes = true
		return bound(item, nodes, mode)
	}
	for name, test := range map[string]struct {
		doc         []byte
		defaultSize pages.Size
		want        []pages.Item
	}{
		"plain memory":             {guest(), 0, nil},
		"memoryBacking without":    {guest(backed("<locked/>")), 0, nil},
		"2 MiB":                    {guest(backed(page2M)), 0, []pages.Item{ram}},
		"2 MiB in MiB":             {guest(backed("<hugepages><page size='2' unit='m'/></hugepages>")), 0, []pages.Item{ram}},
		"KiB is the default unit":  {guest(backed("<hugepages><page size='2048'/></hugepages>")), 0, []pages.Item{ram}},
		"the default size unknown": {guest(backed(bare)), 0, []pages.Item{with(ram, func(i *pages.Item) { i.PageSize, i.Pages = 0, -1 })}},
		"the default size known":   {guest(backed(bare)), pages.Size2MiB, []pages.Item{ram}},
		"size 4 is not huge":       {guest(backed("<hugepages><page size='4'/></hugepages>")), 0, nil},
		"nodeset 0 without cells":  {guest(backed("<hugepages><page size='2048' nodeset='0'/></hugepages>")), 0, []pages.Item{ram}},
		"memfd":                    {guest(backed(page2M + "<source type='memfd'/>")), 0, []pages.Item{with(ram, func(i *pages.Item) { i.Source = "memfd" })}},
		"memory rounds up to 1 MiB": {guest("<memory unit='KiB'>65537</memory>", backed("<hugepages><page size='64'/></hugepages>")), 0,
			[]pages.Item{with(ram, func(i *pages.Item) { i.PageSize, i.Pages, i.MemoryKiB = 1<<16, 1040, 66560 })}},
		"an unfilled page": {guest("<memory unit='MiB'>65</memory>", backed(page2M)), 0,
			[]pages.Item{with(ram, func(i *pages.Item) { i.Pages, i.MemoryKiB = 33, 66560 })}},
		"1.5 GiB on 1 GiB pages": {guest("<memory unit='MiB'>1536</memory>", backed(page1G)), 0,
			[]pages.Item{with(ram, func(i *pages.Item) { i.PageSize, i.Pages, i.MemoryKiB = pages.Size1GiB, 2, 1572864 })}},
		"currentMemory saves nothing": {guest("<memory unit='MiB'>64</memory><currentMemory>1024</currentMemory>", backed(page2M)), 0, []pages.Item{ram}},

		"cells count, not memory": {guest(backed(page2M), "<memory unit='GiB'>9</memory>", numa(twoOf64)), 0, []pages.Item{cell0, cell1}},
		"cells come by id":        {guest(backed(page2M), numa("<cell id='1' memory='65536'/><cell id='0' memory='65536'/>")), 0, []pages.Item{cell0, cell1}},
		"cells without id":        {guest(backed(page2M), numa("<cell memory='65536'/><cell memory='65536'/>")), 0, []pages.Item{cell0, cell1}},
		"a cell without memory":   {guest(backed(page2M), numa("<cell memory='0'/><cell memory='65536'/>")), 0, []pages.Item{cell1}},
		"a size for one cell": {guest(backed("<hugepages><page size='2048' nodeset='1'/></hugepages>"), numa(twoOf64)), 0,
			[]pages.Item{cell1}},
		"a size for one cell, one for the rest": {guest(backed("<hugepages><page size='64' nodeset='0-1,^1'/><page size='2048'/></hugepages>"), numa(twoOf64)), 0,
			[]pages.Item{with(cell0, func(i *pages.Item) { i.PageSize, i.Pages = 1<<16, 1024 }), cell1}},
		"one cell stays plain": {guest(backed("<hugepages><page size='4' nodeset='0'/><page size='2048'/></hugepages>"), numa(twoOf64)), 0,
			[]pages.Item{cell1}},

		"a dimm has its cell's pages": {guest(backed("<hugepages><page size='2048' nodeset='1'/></hugepages>"), numa(twoOf64), device("dimm", target128)), 0,
			[]pages.Item{cell1, dimm}},
		"a dimm with its own pages": {guest(numa(twoOf64), device("dimm", "<source><pagesize unit='MiB'>2</pagesize></source>"+target128)), 0,
			[]pages.Item{dimm}},
		"a plain dimm": {guest(backed(page2M), numa(twoOf64), device("dimm", "<source><pagesize>4</pagesize></source>"+target128)), 0,
			[]pages.Item{cell0, cell1}},
		"a dimm rounds up to 2 MiB": {guest(numa(twoOf64), device("dimm", "<source><pagesize>2048</pagesize></source><target><size unit='KiB'>130000</size><node>1</node></target>")), 0,
			[]pages.Item{with(dimm, func(i *pages.Item) { i.MemoryKiB = 131072; i.Pages = 64 })}},
		"a dimm on nodes of its own": {guest(numa(twoOf64), device("dimm", "<source><pagesize>2048</pagesize><nodemask>2,1</nodemask></source>"+target128)), 0,
			[]pages.Item{ownNodes(dimm, "1-2", pages.Strict)}},
		"nodes of its own, mode of numatune": {guest("<numatune><memory mode='preferred' nodeset='0'/></numatune>", numa(twoOf64), device("dimm", "<source><pagesize>2048</pagesize><nodemask>1</nodemask></source>"+target128)), 0,
			[]pages.Item{ownNodes(dimm, "1", pages.Preferred)}},
		"a dimm counts in memory": {guest("<memory unit='MiB'>192</memory>", backed(page2M), device("dimm", "<target><size unit='MiB'>128</size></target>")), 0,
			[]pages.Item{ram, with(dimm, func(i *pages.Item) { i.GuestNode = -1 })}},
		"virtio-mem comes later": {guest(backed(page2M), numa("<cell memory='65536'/>"), device("virtio-mem", "<target><size unit='GiB'>1</size><node>0</node><block unit='MiB'>2</block><requested unit='MiB'>512</requested><current unit='MiB'>64</current></target>")), 0,
			[]pages.Item{cell0, {GuestNode: 0, Kind: pages.VirtioMem, PageSize: pages.Size2MiB, MemoryKiB: 1048576, Source: "file", LaterPages: 256}}},
		"nvdimm, sgx and shmem take nothing": {guest(backed(page2M), numa("<cell memory='65536'/>"), device("nvdimm", "<source><path>/x</path></source><target><size unit='MiB'>8</size><node>0</node></target>"),
			device("sgx-epc", "<target><size unit='MiB'>8</size></target>"), "<devices><shmem name='a'><size unit='M'>4</size></shmem></devices>"), 0, []pages.Item{cell0}},

		"strict": {guest(backed(page2M), "<numatune><memory nodeset='0-3,^2'/></numatune>"), 0, []pages.Item{bound(ram, "0-1,3", pages.Strict)}},
		"a cell elsewhere": {guest(backed(page2M), "<numatune><memory mode='interleave' nodeset='0'/><memnode cellid='1' mode='restrictive' nodeset='1'/></numatune>", numa(twoOf64)), 0,
			[]pages.Item{bound(cell0, "0", pages.Interleave), bound(cell1, "1", pages.Restrictive)}},
		"restrictive and an unfilled page": {guest("<memory unit='MiB'>65</memory>", backed(page2M), "<numatune><memory mode='restrictive' nodeset='0'/></numatune>"), 0,
			[]pages.Item{bound(with(ram, func(i *pages.Item) { i.Pages, i.MemoryKiB = 33, 66560 }), "0", pages.Restrictive)}},

		"look-alikes":        {[]byte(odd["look-alikes"]), 0, nil},
		"references and all": {[]byte(strings.Replace(odd["CDATA"], "<os", backed(page2M)+"<os", 1)), 0, nil},
	} {
		got, err := Demand(test.doc, test.defaultSize)
		if test.want == nil {
			test.want = []pages.Item{}
		}
		if diff := cmp.Diff(test.want, got.Items); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestDemandOfTheDomain(t *testing.T) {
	got, err := Demand(guest("<uuid>u</uuid>", backed(page2M+"<locked/>"), "<numatune><memory mode='restrictive' nodeset='1'/></numatune>"), 0)
	if err != nil || got.Domain != "web1" || got.UUID != "u" || got.Type != "kvm" || got.Backing != pages.Hugetlb || !got.Locked || got.Auto || got.CPUSetNodes != "1" {
		t.Errorf("%+v, %v", got, err)
	}
	for tune, want := range map[string]struct {
		nodes string
		auto  bool
		mode  pages.Mode
	}{
		"": {},
		"<numatune><memory mode='preferred' nodeset='1'/></numatune>":                                    {"", false, pages.Preferred},
		"<numatune><memory placement='auto'/></numatune>":                                                {"", true, pages.Strict},
		"<numatune><memory mode='interleave' placement='auto' nodeset='1'/></numatune>":                  {"", true, pages.Interleave},
		"<vcpu placement='auto'>2</vcpu>":                                                                {"", true, pages.Strict},
		"<vcpu placement='auto'>2</vcpu><numatune><memory mode='preferred'/></numatune>":                 {"", true, pages.Preferred},
		"<vcpu placement='auto'>2</vcpu><numatune><memory mode='strict' nodeset='2'/></numatune>":        {"2", false, pages.Strict},
		"<vcpu placement='static'>2</vcpu><numatune><memory placement='static' nodeset='2'/></numatune>": {"2", false, pages.Strict},
	} {
		got, err := Demand(guest(backed(page2M), tune), 0)
		if err != nil || got.CPUSetNodes != want.nodes || got.Auto != want.auto || got.Items[0].Mode != want.mode {
			t.Errorf("%s: %+v, %v", tune, got, err)
		}
	}
}

func TestDemandRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		doc   []byte
		want  string
		cause advice.Cause
	}{
		"anonymous":             {guest(backed(bare + "<source type='anonymous'/>")), "--source", "hugepages-source"},
		"ondemand":              {guest(backed("<hugepages><page size='4'/></hugepages><allocation mode='ondemand'/>")), "ondemand", "hugepages-source"},
		"two sizes for all":     {guest(backed("<hugepages><page size='2048'/><page size='1048576'/></hugepages>")), "2 MiB and 1 GiB", "hugepages-ambiguous"},
		"nodesets intersect":    {guest(backed("<hugepages><page size='2048' nodeset='0-1'/><page size='1048576' nodeset='1'/></hugepages>"), numa(twoOf64)), "intersect", "hugepages-ambiguous"},
		"a cell that is not":    {guest(backed("<hugepages><page size='2048' nodeset='2'/></hugepages>"), numa(twoOf64)), "cell 2", "hugepages-node"},
		"a cell without cells":  {guest(backed("<hugepages><page size='2048' nodeset='1'/></hugepages>")), "cell 1", "hugepages-node"},
		"size zero":             {guest(backed("<hugepages><page size='0'/></hugepages>")), "size 0", "hugepages-ambiguous"},
		"no power of two":       {guest(backed("<hugepages><page size='3072'/></hugepages>")), "3 MiB", "page-size-missing"},
		"below the base page":   {guest(backed("<hugepages><page size='2'/></hugepages>")), "2 KiB", "page-size-missing"},
		"less than a page":      {guest(backed(page1G)), "less than one page of 1 GiB", "smaller-than-page"},
		"memfd unfilled":        {guest("<memory unit='MiB'>65</memory>", backed(page2M+"<source type='memfd'/>")), "raise it to 66 MiB", "unaligned"},
		"bound unfilled":        {guest("<memory unit='MiB'>65</memory>", backed(page2M), "<numatune><memory mode='preferred' nodeset='0'/></numatune>"), "raise it to 66 MiB", "unaligned"},
		"auto unfilled":         {guest("<memory unit='MiB'>65</memory>", backed(page2M), "<vcpu placement='auto'>1</vcpu>"), "raise it to 66 MiB", "unaligned"},
		"a dimm unfilled":       {guest(numa(twoOf64), device("dimm", "<source><pagesize unit='M'>32</pagesize></source><target><size unit='MiB'>40</size><node>0</node></target>")), "device 0 of the memory of web1", "unaligned"},
		"small blocks":          {guest(numa(twoOf64), device("virtio-mem", "<source><pagesize unit='G'>1</pagesize></source><target><size unit='GiB'>1</size><node>0</node><block unit='MiB'>2</block></target>")), "<block>", "virtio-mem-block"},
		"a dimm without size":   {guest(numa(twoOf64), device("dimm", "")), "no size", ""},
		"a dimm on no cell":     {guest(numa(twoOf64), device("dimm", "<target><size>4096</size><node>2</node></target>")), "cell 2", "cell-missing"},
		"devices beyond memory": {guest(device("dimm", "<target><size unit='GiB'>1</size></target>")), "<memory>", "memory-missing"},
		"no memory":             {[]byte("<domain><name>web1</name></domain>"), "<memory>", "memory-missing"},
		"too much memory":       {guest("<memory unit='EiB'>16</memory>"), "more memory", ""},
		"cells too large":       {guest(numa("<cell memory='18446744073709551615'/>")), "more memory", ""},
		"no unit":               {guest("<memory unit='MiBi'>1</memory>"), `"MiBi"`, ""},
		"cell ids with a hole":  {guest(numa("<cell id='0' memory='4096'/><cell id='2' memory='4096'/>")), "ids", "cell-ids"},
		"one cell id twice":     {guest(numa("<cell id='0' memory='4096'/><cell id='0' memory='4096'/>")), "ids", "cell-ids"},
		"a cell id too large":   {guest(numa("<cell id='18446744073709551615' memory='4096'/>")), "ids", "cell-ids"},
		"memnode and auto":      {guest("<numatune><memory placement='auto'/><memnode cellid='0' mode='strict' nodeset='0'/></numatune>", numa(twoOf64)), "automatic", ""},
		"memnode without cell":  {guest("<numatune><memnode cellid='0' mode='strict' nodeset='0'/></numatune>"), "cell 0", ""},
		"static without nodes":  {guest("<numatune><memory mode='strict'/></numatune>"), "NUMA nodes", ""},
	} {
		_, err := Demand(test.doc, 0)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: the error is %v", name, err)
		}
		if told := (*advice.Error)(nil); !errors.As(err, &told) || told.Cause != test.cause {
			t.Errorf("%s: the cause is not %q: %+v", name, test.cause, told)
		}
	}
}

func TestFits(t *testing.T) {
	for name, test := range map[string]struct {
		doc  []byte
		size pages.Size
		want bool
	}{
		"64 MiB on 2 MiB":          {guest(), pages.Size2MiB, true},
		"64 MiB on 1 GiB":          {guest(), pages.Size1GiB, false},
		"65 MiB on 2 MiB":          {guest("<memory unit='MiB'>65</memory>"), pages.Size2MiB, false},
		"65.5 MiB on 2 MiB":        {guest("<memory unit='KiB'>67072</memory>"), pages.Size2MiB, true},
		"cells":                    {guest(numa("<cell memory='1' unit='GiB'/><cell memory='2' unit='GiB'/>")), pages.Size1GiB, true},
		"cells that add up":        {guest(numa("<cell memory='512' unit='MiB'/><cell memory='512' unit='MiB'/>")), pages.Size1GiB, false},
		"a dimm":                   {guest(numa("<cell memory='1' unit='GiB'/><cell memory='1' unit='GiB'/>"), device("dimm", target128)), pages.Size1GiB, false},
		"a dimm with its own size": {guest(numa("<cell memory='1' unit='GiB'/><cell memory='1' unit='GiB'/>"), device("dimm", "<source><pagesize>2048</pagesize></source>"+target128)), pages.Size1GiB, true},
	} {
		if got, err := Fits(test.doc, test.size); err != nil || got != test.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestUnits(t *testing.T) {
	for unit, want := range map[string]uint64{
		"": 1024, "b": 1, "Byte": 1, "bytes": 1, "k": 1024, "KiB": 1024, "KB": 1000, "kb": 1000, "M": 1 << 20, "mib": 1 << 20, "MB": 1e6,
		"G": 1 << 30, "GiB": 1 << 30, "GB": 1e9, "T": 1 << 40, "TB": 1e12, "P": 1 << 50, "PB": 1e15, "EiB": 1 << 60, "EB": 1e18,
		"K iB": 0, "x": 0, "KiBs": 0, "Ki": 0, "bb": 0,
	} {
		if got := scale(unit); got != want {
			t.Errorf("%q is %d, want %d", unit, got, want)
		}
	}
	if n, err := kib(1, "b"); n != 1 || err != nil {
		t.Errorf("1 byte is %d KiB, %v", n, err)
	}
}

func TestNodesets(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "0-3": "0-3", "0-3,^2": "0-1,3", " 5 , 1-2": "1-2,5", "1,2,3,7": "1-3,7", "0-0": "0", "2,^2,3": "3", "16383": "16383",
		"": "", "^1": "", "1,^1": "", "a": "", "3-1": "", "-1": "", "1-": "", "0-99999": "", "1,,2": "", "^0-1": "", "16384": "",
	} {
		got, err := nodes(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestIdentity(t *testing.T) {
	const rest = "<memoryBacking><hugepages/><source type='anonymous'/></memoryBacking></domain>"
	for what, doc := range map[string]string{
		"refused by Demand": "<domain><uuid>u</uuid><name>a&amp;b</name>" + rest,
		"others' names":     "<domain><metadata><name>c</name></metadata><name>a&amp;b</name><title/><uuid>u</uuid>" + rest,
		"at the end":        "<domain><vcpu>1</vcpu><name>a&amp;<!-- -->b</name><uuid>u</uuid></domain>",
		"cut off after":     "<domain><name>a&amp;b</name><uuid>u</uuid><mem",
	} {
		if name, uuid, err := Identity([]byte(doc)); name != "a&b" || uuid != "u" || err != nil {
			t.Errorf("%s: %q, %q, %v", what, name, uuid, err)
		}
	}
	if name, uuid, err := Identity([]byte("<domain><name>a</name><uui")); err == nil {
		t.Errorf("cut off before: %q, %q", name, uuid)
	}
	if name, uuid, err := Identity([]byte("<domain><name>a</name></domain>")); name != "a" || uuid != "" || err != nil {
		t.Errorf("without a UUID: %q, %q, %v", name, uuid, err)
	}
}

func TestElastic(t *testing.T) {
	for name, test := range map[string]struct {
		doc  []byte
		want bool
	}{
		"private":                 {guest(backed(page2M), "<devices><memballoon model='virtio'/></devices>"), false},
		"shared":                  {guest(backed(page2M + "<access mode='shared'/>")), true},
		"said to be private":      {guest(backed(page2M + "<access mode='private'/>")), false},
		"memfd":                   {guest(backed(page2M + "<source type='memfd'/>")), true},
		"a shared cell":           {guest(backed(page2M), numa("<cell id='0' cpus='0' memory='64' unit='MiB' memAccess='shared'/>")), true},
		"a DIMM can be unplugged": {guest(backed(page2M), "<memory unit='MiB'>256</memory>", numa(twoOf64), device("dimm", target128)), true},
	} {
		if demand, err := Demand(test.doc, 0); err != nil || demand.Elastic != test.want {
			t.Errorf("%s: %v, %v", name, demand.Elastic, err)
		}
	}
}
