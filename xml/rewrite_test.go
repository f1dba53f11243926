package xml

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

func TestRewrite(t *testing.T) {
	for name, test := range map[string]struct {
		want      Backing
		from, out string
	}{
		"memoryBacking is made behind currentMemory": {Backing{PageSize: pages.Size2MiB},
			"<domain>\n  <memory>65536</memory>\n  <currentMemory>65536</currentMemory>\n  <vcpu>1</vcpu>\n</domain>",
			"<domain>\n  <metadata>\n    <vmhuge:former xmlns:vmhuge='urn:vmhuge:1'>\n      <vmhuge:was at='hugepages'/>\n    </vmhuge:former>\n  </metadata>\n  <memory>65536</memory>\n  <currentMemory>65536</currentMemory>\n  <memoryBacking>\n    <hugepages>\n      <page size='2048' unit='KiB'/>\n    </hugepages>\n  </memoryBacking>\n  <vcpu>1</vcpu>\n</domain>"},
		"with the document's tabs and CRLF": {Backing{PageSize: pages.Size2MiB},
			"<domain>\r\n\t<memory>65536</memory>\r\n</domain>",
			"<domain>\r\n\t<metadata>\r\n\t\t<vmhuge:former xmlns:vmhuge='urn:vmhuge:1'>\r\n\t\t\t<vmhuge:was at='hugepages'/>\r\n\t\t</vmhuge:former>\r\n\t</metadata>\r\n\t<memory>65536</memory>\r\n\t<memoryBacking>\r\n\t\t<hugepages>\r\n\t\t\t<page size='2048' unit='KiB'/>\r\n\t\t</hugepages>\r\n\t</memoryBacking>\r\n</domain>"},
		"and none where it has none": {Backing{PageSize: pages.Size2MiB},
			"<domain><memory>65536</memory></domain>",
			"<domain><metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1'><vmhuge:was at='hugepages'/></vmhuge:former></metadata><memory>65536</memory><memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages></memoryBacking></domain>"},
		"an indented root": {Backing{},
			"\n    <domain>\n        <memory>65536</memory>\n    </domain>\n",
			"\n    <domain>\n        <metadata>\n            <vmhuge:former xmlns:vmhuge='urn:vmhuge:1'>\n                <vmhuge:was at='hugepages'/>\n            </vmhuge:former>\n        </metadata>\n        <memory>65536</memory>\n        <memoryBacking>\n            <hugepages/>\n        </memoryBacking>\n    </domain>\n"},
		"hugepages come first": {Backing{PageSize: pages.Size2MiB},
			"<domain>\n <memory>65536</memory>\n <memoryBacking>\n  <locked/>\n </memoryBacking>\n</domain>",
			"<domain>\n <metadata>\n  <vmhuge:former xmlns:vmhuge='urn:vmhuge:1'>\n   <vmhuge:was at='hugepages'/>\n  </vmhuge:former>\n </metadata>\n <memory>65536</memory>\n <memoryBacking>\n  <hugepages>\n   <page size='2048' unit='KiB'/>\n  </hugepages>\n  <locked/>\n </memoryBacking>\n</domain>"},
		"another size is noted": {Backing{PageSize: pages.Size2MiB},
			"<domain>\n <memory>65536</memory>\n <memoryBacking>\n  <hugepages/>\n </memoryBacking>\n</domain>",
			"<domain>\n <metadata>\n  <vmhuge:former xmlns:vmhuge='urn:vmhuge:1'>\n   <vmhuge:was at='hugepages'>&lt;hugepages/&gt;</vmhuge:was>\n  </vmhuge:former>\n </metadata>\n <memory>65536</memory>\n <memoryBacking>\n  <hugepages>\n   <page size='2048' unit='KiB'/>\n  </hugepages>\n </memoryBacking>\n</domain>"},
		"but not our own": {Backing{PageSize: pages.Size2MiB, Ours: true},
			"<domain><memory>65536</memory><memoryBacking><hugepages/></memoryBacking></domain>",
			"<domain><metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1'><vmhuge:was at='hugepages'/></vmhuge:former></metadata><memory>65536</memory><memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages></memoryBacking></domain>"},
		"the same size in other words": {Backing{PageSize: pages.Size2MiB},
			"<domain><memory>65536</memory><memoryBacking><hugepages><page unit='M' size='2' nodeset='0'/></hugepages></memoryBacking></domain>", ""},
		"a stated size is kept": {Backing{PageSize: pages.Size2MiB, Keep: true},
			"<domain><memory unit='GiB'>1</memory><memoryBacking><hugepages><page unit='G' size='1'/></hugepages></memoryBacking></domain>", ""},
		"and one of 4 KiB is not": {Backing{PageSize: pages.Size2MiB, Keep: true, Ours: true},
			"<domain><memory>65536</memory><memoryBacking><hugepages><page size='4'/></hugepages></memoryBacking></domain>",
			"<domain><metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1'><vmhuge:was at='hugepages'/></vmhuge:former></metadata><memory>65536</memory><memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages></memoryBacking></domain>"},
		"threads of an allocation": {Backing{Threads: 8, Ours: true},
			"<domain><metadata><a:a xmlns:a='b'/></metadata><memory>65536</memory><memoryBacking><hugepages/><allocation mode='immediate'/></memoryBacking></domain>",
			"<domain><metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1'><vmhuge:was at='hugepages'/><vmhuge:was at='allocation' now='immediate 8'>&lt;allocation mode=&#39;immediate&#39;/&gt;</vmhuge:was></vmhuge:former><a:a xmlns:a='b'/></metadata><memory>65536</memory><memoryBacking><hugepages/><allocation threads='8' mode='immediate'/></memoryBacking></domain>"},
		"transparent huge pages": {Backing{THP: true},
			"<domain><memory>65536</memory></domain>",
			"<domain><metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1' backing='thp'><vmhuge:was at='allocation' now='immediate'/></vmhuge:former></metadata><memory>65536</memory><memoryBacking><allocation mode='immediate'/></memoryBacking></domain>"},
		"transparent ones where nothing is left to change": {Backing{THP: true},
			"<domain><memory>65536</memory><memoryBacking><allocation mode='immediate'/></memoryBacking></domain>",
			"<domain><metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1' backing='thp'></vmhuge:former></metadata><memory>65536</memory><memoryBacking><allocation mode='immediate'/></memoryBacking></domain>"},
		"transparent ones after our own reserved ones": {Backing{THP: true, Ours: true},
			"<domain><memory>65536</memory><memoryBacking><hugepages/><allocation mode='ondemand'/></memoryBacking></domain>",
			"<domain><metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1' backing='thp'></vmhuge:former></metadata><memory>65536</memory><memoryBacking><allocation mode='ondemand'/></memoryBacking></domain>"},
		"reserved ones after transparent ones": {Backing{PageSize: pages.Size2MiB},
			"<domain><metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1' backing='thp'><vmhuge:was at='source' now='anonymous'>&lt;source type='memfd'/&gt;</vmhuge:was></vmhuge:former></metadata><memory>65536</memory><memoryBacking><source type='anonymous'/></memoryBacking></domain>",
			"<domain><metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1'><vmhuge:was at='hugepages'/></vmhuge:former></metadata><memory>65536</memory><memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages><source type='memfd'/></memoryBacking></domain>"},
		"rounding in the unit at hand": {Backing{PageSize: pages.Size2MiB, Round: true},
			"<domain><name>a</name><memory unit=\"MiB\">65</memory><currentMemory unit='KiB'>66560</currentMemory><memoryBacking><hugepages><page size='2' unit='MiB'/></hugepages></memoryBacking></domain>",
			"<domain><name>a</name><metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1'><vmhuge:was at='memory' now='67584' unit='MiB'>65</vmhuge:was><vmhuge:was at='currentMemory' now='67584' unit='KiB'>66560</vmhuge:was></vmhuge:former></metadata><memory unit=\"MiB\">66</memory><currentMemory unit='KiB'>67584</currentMemory><memoryBacking><hugepages><page size='2' unit='MiB'/></hugepages></memoryBacking></domain>"},
	} {
		out, err := Rewrite([]byte(test.from), test.want)
		if test.out == "" {
			test.out = test.from
		}
		if err != nil || string(out) != test.out {
			t.Errorf("%s: %v\n%s\nnot\n%s", name, err, out, test.out)
		}
	}
}

func TestRoundGrowsMemoryByItsParts(t *testing.T) {
	for name, test := range map[string]struct{ from, values string }{
		"cells":                   {"<memory>131074</memory><currentMemory>9</currentMemory>" + numa("<cell memory='65537'/><cell memory='65537'/>"), "<memory>135168</memory> memory='67584' memory='67584'"},
		"a cell and a dimm":       {"<memory>131072</memory>" + numa("<cell memory='65536'/>") + device("dimm", "<source><pagesize unit='MiB'>16</pagesize></source><target><size>65536</size><node>0</node></target>"), "<memory>131072</memory>"},
		"a dimm":                  {"<memory unit='MiB'>104</memory><currentMemory unit='MiB'>104</currentMemory>" + numa("<cell memory='64' unit='MiB'/>") + device("dimm", "<source><pagesize unit='MiB'>16</pagesize></source><target><size unit='MB'>41.9</size><node>0</node></target>"), ""},
		"not what did not add up": {"<memory unit='MiB'>300</memory>" + numa("<cell memory='65' unit='MiB'/>"), "<memory unit='MiB'>300</memory> memory='66'"},
		"RAM beside a dimm":       {"<memory unit='MiB'>105</memory>" + device("dimm", "<target><size unit='MiB'>40</size></target>"), "<memory unit='MiB'>106</memory>"},
		"a decimal unit":          {"<memory unit='MB'>65</memory>", "<memory unit='MB'>65</memory>"},
		"a decimal unit, odd":     {"<memory unit='MB'>66</memory>", "<memory unit='KiB'>65536</memory>"},
		"bytes":                   {"<memory unit='b'>67108865</memory>", "<memory unit='b'>69206016</memory>"},
	} {
		out, err := Rewrite(guest(test.from), Backing{PageSize: pages.Size2MiB, Round: true})
		if test.values == "" {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			continue
		}
		for _, value := range strings.Split(test.values, " memory=") {
			if err != nil || !strings.Contains(string(out), value) {
				t.Errorf("%s: %v, no %s in\n%s", name, err, value, out)
			}
		}
	}
}

func TestRewriteRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		want Backing
		doc  []byte
		text string
	}{
		"anonymous": {Backing{PageSize: pages.Size2MiB}, guest(backed("<source type='anonymous'/>")),
			"memory of web1: its <source type='anonymous'/> does not go with huge pages; choose --source file or --source memfd"},
		"ondemand": {Backing{PageSize: pages.Size2MiB, Threads: 3}, guest(backed("<allocation mode='ondemand'/>")),
			"memory of web1: its <allocation mode='ondemand'/> does not go with huge pages, which are always allocated at start; make it immediate with virsh edit, or take it out"},
		"an unfilled page": {Backing{PageSize: pages.Size2MiB}, guest("<memory unit='MiB'>65</memory>"),
			"memory of web1: its 65 MiB are not a multiple of its pages of 2 MiB: 33 of them are 66 MiB; raise it to 66 MiB, as enable --round does"},
		"in a cell": {Backing{PageSize: pages.Size1GiB}, guest(numa("<cell memory='1' unit='GiB'/><cell memory='1537' unit='MiB'/>")),
			"cell 1 of the memory of web1: its 1537 MiB are not a multiple of its pages of 1 GiB: 2 of them are 2 GiB; raise it to 2 GiB, as enable --round does"},
		"less than a page": {Backing{PageSize: pages.Size1GiB}, guest(),
			"memory of web1: its 64 MiB are less than one page of 1 GiB; take smaller pages (--size), or raise it to 1 GiB, as enable --round does"},
		"no huge page": {Backing{PageSize: smallPage}, guest(),
			"memory of web1: pages of 4 KiB are not huge; take larger ones, such as --size 2M"},
		"no power of two": {Backing{PageSize: 3 << 20, Round: true}, guest(),
			"memory of web1: no kernel has huge pages of 3 MiB; take 2 MiB or 1 GiB, or what the host has in /sys/kernel/mm/hugepages"},
	} {
		out, err := Rewrite(test.doc, test.want)
		var told *advice.Error
		if out != nil || !errors.As(err, &told) || err.Error() != test.text {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// After define and dumpxml, libvirt has written all but <metadata> anew.
func TestRevertAfterLibvirt(t *testing.T) {
	for name, test := range map[string]struct {
		from string
		want Backing
		trip func(string) string
		back string
	}{
		"a bare memoryBacking": {
			"<domain type='kvm'>\n\t<name>a</name><memory>65536</memory>\n\t<memoryBacking/>\n</domain>", Backing{PageSize: pages.Size2MiB},
			func(metadata string) string {
				return "<domain type='kvm'>\n  <name>a</name>\n" + metadata + "  <memory unit='KiB'>65536</memory>\n  <currentMemory unit='KiB'>65536</currentMemory>\n  <memoryBacking>\n    <hugepages>\n      <page size='2048' unit='KiB'/>\n    </hugepages>\n  </memoryBacking>\n</domain>\n"
			},
			"<domain type='kvm'>\n  <name>a</name>\n  <memory unit='KiB'>65536</memory>\n  <currentMemory unit='KiB'>65536</currentMemory>\n  <memoryBacking/>\n</domain>\n"},
		"all at once": {
			"<domain type='kvm'>\n  <name>a</name><memory unit='MiB'>65</memory>\n<memoryBacking>\r\n<hugepages> <page size=\"1\" unit='G'/><!-- & --></hugepages><allocation threads='3'/></memoryBacking>\n</domain>",
			Backing{PageSize: pages.Size2MiB, Source: "memfd", Threads: -1, Round: true},
			func(metadata string) string {
				return "<domain type='kvm'>\n  <name>a</name>\n" + metadata + "  <memory unit='KiB'>67584</memory>\n  <currentMemory unit='KiB'>67584</currentMemory>\n  <memoryBacking>\n    <hugepages>\n      <page size='2048' unit='KiB'/>\n    </hugepages>\n    <source type='memfd'/>\n  </memoryBacking>\n</domain>\n"
			},
			"<domain type='kvm'>\n  <name>a</name>\n  <memory unit='MiB'>65</memory>\n  <currentMemory unit='KiB'>67584</currentMemory>\n  <memoryBacking>\n    <allocation threads='3'/>\n    <hugepages> <page size=\"1\" unit='G'/><!-- & --></hugepages>\n  </memoryBacking>\n</domain>\n"},
	} {
		out, err := Rewrite([]byte(test.from), test.want)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, metadata, _ := strings.Cut(string(out), "<metadata>")
		metadata, _, _ = strings.Cut(metadata, "</metadata>")
		// libxml2: other quotes, short empty elements, characters for references.
		metadata = strings.NewReplacer("'", `"`, "&#39;", "'", "&#34;", `"`, "&#xA;", "\n", "&#xD;", "&#13;").Replace(metadata)
		trip := test.trip("  <metadata>" + metadata + "</metadata>\n")
		if back, err := Revert([]byte(trip), true); err != nil || string(back) != test.back {
			t.Errorf("%s: %v\n%s\nnot\n%s\nfrom\n%s", name, err, back, test.back, trip)
		}
	}
}

func TestRevertKeepsWhatTheUserDid(t *testing.T) {
	from := "<domain>\n  <name>a</name>\n  <memory unit='MiB'>65</memory>\n  <memoryBacking/>\n</domain>"
	enabled, err := Rewrite([]byte(from), Backing{PageSize: pages.Size2MiB, Source: "memfd", Threads: 4, Round: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ old, new, back string }{
		"locked":           {"<source type='memfd'/>", "<locked/>\n    <source type='memfd'/>", "<memoryBacking>\n    <locked/>\n  </memoryBacking>"},
		"other memory":     {">66<", ">128<", "<memory unit='MiB'>128</memory>\n  <memoryBacking/>"},
		"another source":   {"'memfd'/>", "'file'/>", "<memoryBacking>\n    <source type='file'/>\n  </memoryBacking>"},
		"more threads":     {"threads='4'", "threads='9'", "<memoryBacking>\n    <allocation threads='9'/>\n  </memoryBacking>"},
		"other pages":      {"2048", "1048576", "<memory unit='MiB'>65</memory>\n  <memoryBacking/>"},
		"metadata":         {"<metadata>", "<metadata>\n    <b:b xmlns:b='b'/>", "<metadata>\n    <b:b xmlns:b='b'/>\n  </metadata>"},
		"the memory, same": {"unit='MiB'>66", "unit='KiB'>67584", "<memory unit='MiB'>65</memory>\n  <memoryBacking/>"},
	} {
		if !bytes.Contains(enabled, []byte(test.old)) {
			t.Fatalf("%s: no %s in %s", name, test.old, enabled)
		}
		changed := strings.Replace(string(enabled), test.old, test.new, 1)
		if name == "another source" || name == "more threads" {
			i := strings.LastIndex(string(enabled), test.old)
			changed = string(enabled[:i]) + test.new + string(enabled[i+len(test.old):])
		}
		back, err := Revert([]byte(changed), true)
		if err != nil || !strings.Contains(string(back), test.back) || strings.Contains(string(back), "hugepages") || strings.Contains(string(back), namespace) {
			t.Errorf("%s: %v\n%s\nfrom\n%s", name, err, back, changed)
		}
	}
}

func TestRevertWithoutMark(t *testing.T) {
	for from, back := range map[string]string{
		"<domain>\n <memory>65536</memory>\n</domain>":                                                                                            "",
		"<domain>\n <memory>65536</memory>\n <memoryBacking/>\n <metadata/>\n</domain>":                                                           "",
		"<domain>\n <memory>65536</memory>\n <memoryBacking>\n  <hugepages/>\n </memoryBacking>\n</domain>":                                       "<domain>\n <memory>65536</memory>\n</domain>",
		"<domain>\n <memory>65536</memory>\n <memoryBacking>\n  <source type='memfd'/>\n  <hugepages/>\n </memoryBacking>\n</domain>":             "<domain>\n <memory>65536</memory>\n <memoryBacking>\n  <source type='memfd'/>\n </memoryBacking>\n</domain>",
		"<domain><memoryBacking xmlns='x'><hugepages/></memoryBacking><memory>65536</memory><!-- <hugepages/> --></domain>":                       "",
		"<domain><memory>1</memory><metadata><former xmlns='urn:other'><was at='memory' now='1'>2</was></former></metadata></domain>":             "",
		"<domain><memory>1</memory><x><former xmlns='urn:vmhuge:1'><was at='memory' now='1'>2</was></former></x></domain>":                        "",
		"<domain><memory>1</memory><metadata><former xmlns='urn:vmhuge:1'><was at='memory' now='1'>2</was></former></metadata></domain>":          "<domain><memory>2</memory></domain>",
		"<domain><memory>1</memory><metadata><v:former xmlns:v='urn:vmhuge:1'><v:was at='future' now=''>2</v:was></v:former></metadata></domain>": "<domain><memory>1</memory></domain>",
	} {
		if back == "" {
			back = from
		}
		if got, err := Revert([]byte(from), true); err != nil || string(got) != back {
			t.Errorf("%v\n%s\nnot\n%s\nfrom\n%s", err, got, back, from)
		}
	}
	broken := "<domain><memory>1</memory><metadata><former xmlns='urn:vmhuge:1'><was at='memory' now='1'>&lt;</was></former></metadata></domain>"
	if out, err := Revert([]byte(broken), true); err == nil || out != nil {
		t.Errorf("a broken mark gives %s", out)
	}
}
