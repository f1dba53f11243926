package xml

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// unreadable are documents that no libvirt reads, or none should.
var unreadable = map[string]string{
	"nothing":                    "",
	"white space":                " \n\t",
	"only a byte order mark":     "\uFEFF",
	"text":                       "web1",
	"cut off in a tag":           "<domain type='kvm'><name>a</na",
	"cut off":                    "<domain type='kvm'><name>a</name>",
	"cut off in a comment":       "<domain type='kvm'><!-- <memory>65536</memory></domain>",
	"text after the root":        "<domain><memory>65536</memory></domain>x",
	"CDATA after the root":       "<domain><memory>65536</memory></domain><![CDATA[ ]]>",
	"space as entity after it":   "<domain><memory>65536</memory></domain>&#32;",
	"text before the root":       "x<domain><memory>65536</memory></domain>",
	"two roots":                  "<domain><memory>65536</memory></domain><domain/>",
	"no root":                    "<!-- a -->",
	"end without start":          "</domain>",
	"crossed":                    "<domain><memory>65536</domain></memory>",
	"a prefix lost":              "<domain><x:a xmlns:x='u'></a></domain>",
	"an attribute twice":         "<domain type='kvm' type='kvm'><memory>65536</memory></domain>",
	"an attribute twice, deep":   "<domain><memory>65536</memory><devices><disk a='1' b='' a='2'/></devices></domain>",
	"attributes without space":   "<domain type='kvm'id='1'><memory>65536</memory></domain>",
	"an attribute without quote": "<domain type=kvm><memory>65536</memory></domain>",
	"an attribute without value": "<domain type><memory>65536</memory></domain>",
	"< in an attribute":          "<domain type='<'><memory>65536</memory></domain>",
	"a lone &":                   "<domain><name>a & b</name><memory>65536</memory></domain>",
	"]]> in text":                "<domain><name>a]]></name><memory>65536</memory></domain>",
	"-- in a comment":            "<domain><!-- a -- b --><memory>65536</memory></domain>",
	"a late declaration":         "\n<?xml version='1.0'?><domain><memory>65536</memory></domain>",
	"a declaration inside":       "<domain><?XML version='1.0'?><memory>65536</memory></domain>",
	"another root":               "<network><name>a</name></network>",
	"domainsnapshot":             "<domainsnapshot><domain type='kvm'><memory>65536</memory></domain></domainsnapshot>",
	"domstatus":                  "<domstatus><domain type='kvm'><memory>65536</memory></domain></domstatus>",
	"a foreign domain":           "<domain xmlns='urn:x'><memory>65536</memory></domain>",
	"a prefixed domain":          "<x:domain xmlns:x='urn:x'><memory>65536</memory></x:domain>",
	"NUL":                        "<domain>\x00<memory>65536</memory></domain>",
	"NUL in a comment":           "<domain><!-- \x00 --><memory>65536</memory></domain>",
	"NUL as a reference":         "<domain>&#0;<memory>65536</memory></domain>",
	"a control character":        "<domain><?a \x1b?><memory>65536</memory></domain>",
	"no character":               "<domain><!-- \uFFFE --><memory>65536</memory></domain>",
	"no UTF-8":                   "<domain><name>\xe9</name><memory>65536</memory></domain>",
	"UTF-16":                     "\xff\xfe<\x00d\x00o\x00m\x00a\x00i\x00n\x00/\x00>\x00",
	"UTF-16 without a mark":      "<\x00d\x00/\x00>\x00",
	"ISO-8859-1":                 "<?xml version='1.0' encoding='ISO-8859-1'?><domain><memory>65536</memory></domain>",
	"ISO-8859-1, spaced":         "<?xml version = \"1.0\" encoding = \"ISO-8859-1\" ?><domain><memory>65536</memory></domain>",
	"nested deep":                "<domain><memory>65536</memory>" + strings.Repeat("<a>", 300) + strings.Repeat("</a>", 300) + "</domain>",
	"an entity":                  "<!DOCTYPE domain [<!ENTITY ram \"2048\">]>\n<domain><memory>&ram;</memory></domain>",
	"billion laughs":             "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;'>]><domain><name>&c;</name></domain>",
	"an unknown entity":          "<domain><name>&ram;</name><memory>65536</memory></domain>",
	"a default in the DOCTYPE":   "<!DOCTYPE domain [<!ATTLIST memory unit CDATA 'GiB'>]><domain><memory>65536</memory></domain>",
	"two DOCTYPEs":               "<!DOCTYPE domain><!DOCTYPE domain><domain><memory>65536</memory></domain>",
	"a DOCTYPE inside":           "<domain><!DOCTYPE domain><memory>65536</memory></domain>",
	"memory twice":               "<domain><memory>65536</memory><memory>65536</memory></domain>",
	"memoryBacking twice":        "<domain><memory>65536</memory><memoryBacking/><memoryBacking><hugepages/></memoryBacking></domain>",
	"hugepages twice":            "<domain><memory>65536</memory><memoryBacking><hugepages/><hugepages/></memoryBacking></domain>",
	"no number":                  "<domain><memory>64k</memory></domain>",
	"a negative number":          "<domain><memory>-1</memory></domain>",
	"a number too large":         "<domain><memory>99999999999999999999</memory></domain>",
}

// A <domain> in a namespace has another name to libvirt, and is said to.
func TestRootInNamespace(t *testing.T) {
	for doc, want := range map[string]string{
		"<domain xmlns='http://example.org/'><memory>1</memory></domain>":         `in the namespace "http://example.org/"`,
		"<d:domain xmlns:d='urn:d'><memory>1</memory></d:domain>":                 `in the namespace "urn:d"`,
		"<network xmlns='urn:n'/>":                                                "its root is <network>",
		"<domain xmlns=''><memory>65536</memory></domain>":                        "",
		"<domain xmlns:q='" + qemuNamespace + "'><memory>65536</memory></domain>": "",
	} {
		_, err := parse([]byte(doc))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

func TestUnreadable(t *testing.T) {
	for name, doc := range unreadable {
		_, err := parse([]byte(doc))
		var told *advice.Error
		if !errors.As(err, &told) || told.What != "the domain XML" || strings.ContainsAny(told.Why, "\n") {
			t.Errorf("%s: the error is %v", name, err)
		}
		if out, err := Rewrite([]byte(doc), Backing{PageSize: pages.Size2MiB}); err == nil || out != nil {
			t.Errorf("%s: rewriting gives %q, %v", name, out, err)
		}
		if out, err := Revert([]byte(doc), true); err == nil || out != nil {
			t.Errorf("%s: reverting gives %q, %v", name, out, err)
		}
		if demand, err := Demand([]byte(doc), 0); err == nil || demand.Items != nil {
			t.Errorf("%s: the demand is %+v, %v", name, demand, err)
		}
	}
}

func TestUTF8ByAnyName(t *testing.T) {
	for _, encoding := range []string{"UTF-8", "utf-8", "US-ASCII"} {
		doc := "<?xml version='1.0' encoding='" + encoding + "'?><domain><memory>65536</memory></domain>"
		holds(t, []byte(doc), Backing{PageSize: pages.Size2MiB})
		if _, err := Rewrite([]byte(doc), Backing{PageSize: pages.Size2MiB}); err != nil {
			t.Error(err)
		}
	}
}

// large returns a document of 4 MiB and more.
func large() []byte {
	var b strings.Builder
	b.WriteString("<domain type='kvm'>\n  <name>large</name>\n  <memory unit='MiB'>65</memory>\n  <memoryBacking/>\n  <devices>\n")
	for b.Len() < 4<<20 {
		b.WriteString("    <disk type='file' device='disk'>\n      <driver name='qemu' type='qcow2'/>\n      <source file='/var/lib/libvirt/images/large.qcow2'/>\n      <target dev='vda' bus='virtio'/>\n    </disk>\n")
	}
	b.WriteString("  </devices>\n</domain>\n")
	return []byte(b.String())
}

func TestLarge(t *testing.T) {
	doc, start := large(), time.Now()
	out, err := Rewrite(doc, Backing{PageSize: pages.Size2MiB, Round: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("rewriting %d bytes took %v", len(doc), time.Since(start))
	if time.Since(start) > 5*time.Second { // 0.1 s on an idle machine
		t.Errorf("rewriting %d bytes took %v", len(doc), time.Since(start))
	}
	if back, err := Revert(out, true); err != nil || string(back) != string(doc) {
		t.Errorf("reverting it: %v, %d bytes", err, len(back))
	}
}

func BenchmarkRewrite(b *testing.B) {
	doc := large()
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, err := Rewrite(doc, Backing{PageSize: pages.Size2MiB, Round: true}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDemand(b *testing.B) {
	doc := []byte(odd["cells"])
	for b.Loop() {
		if _, err := Demand(doc, 0); err != nil {
			b.Fatal(err)
		}
	}
}
