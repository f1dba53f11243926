package xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/pages"
)

// odd are documents that libvirt reads, each named for what is odd in it.
var odd = map[string]string{
	"plain": `<domain type='kvm'>
  <name>web1</name>
  <uuid>89ed597a-63df-4a5f-8dcf-adad87d289d3</uuid>
  <memory unit='KiB'>2097152</memory>
  <currentMemory unit='KiB'>1048576</currentMemory>
  <vcpu placement='static'>2</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
  </os>
</domain>
`,
	"self-closed":         "<domain type='kvm'>\n  <name>a</name>\n  <memory>65536</memory>\n  <memoryBacking/>\n</domain>",
	"self-closed, spaced": "<domain type='kvm'>\n  <name>a</name>\n  <memory>65536</memory>\n  <memoryBacking  odd = \">\"  />\n</domain>",
	"empty":               "<domain type='kvm'>\n  <name>a</name>\n  <memory>65536</memory>\n  <memoryBacking></memoryBacking>\n</domain>",
	"white space":         "<domain type='kvm'>\n  <name>a</name>\n  <memory>65536</memory>\n  <memoryBacking>\n\n\t</memoryBacking  >\n</domain>",
	"comment inside":      "<domain type='kvm'>\n  <name>a</name>\n  <memory>65536</memory>\n  <memoryBacking><!-- <hugepages/> --></memoryBacking>\n</domain>",
	"instruction inside":  "<domain type='kvm'>\n  <name>a</name>\n  <memory>65536</memory>\n  <memoryBacking>\n    <?keep <hugepages/>?>\n  </memoryBacking>\n</domain>",
	"all other children":  "<domain type='kvm'>\n  <name>a</name>\n  <memory>65536</memory>\n  <memoryBacking>\n    <nosharepages/>\n    <locked/>\n    <source type=\"file\" />\n    <access mode='shared'/>\n    <allocation mode='immediate' threads = \"7\"/>\n    <discard/>\n  </memoryBacking>\n</domain>",
	"bare hugepages":      "<domain type='kvm'>\n  <name>a</name>\n  <memory>65536</memory>\n  <memoryBacking>\n    <locked/>\n    <hugepages/>\n  </memoryBacking>\n</domain>",
	"1G pages":            "<domain type='kvm'>\n  <name>a</name>\n  <memory unit='GiB'>2</memory>\n  <memoryBacking>\n    <hugepages><!-- why not -->\n        <page size=\"1\" unit='g'></page>\n\t</hugepages>\n    <locked/></memoryBacking>\n</domain>",
	"a page of 4 KiB":     "<domain type='kvm'>\n  <name>a</name>\n  <memory unit='GiB'>2</memory>\n  <memoryBacking>\n    <hugepages><page size='4'/></hugepages></memoryBacking>\n</domain>",
	"CRLF":                "<?xml version='1.0'?>\r\n<domain type='kvm'>\r\n\t<name>a</name>\r\n\t<memory>65536</memory>\r\n\t<os><type>hvm</type></os>\r\n</domain>\r\n",
	"CRLF, self-closed":   "<domain type='kvm'>\r\n\t<name>a</name>\r\n\t<memory>65536</memory>\r\n\t<memoryBacking/>\r\n</domain>\r\n",
	"CR alone":            "<domain type='kvm'>\r <name>a</name>\r <memory>65536</memory>\r</domain>",
	"no line ends":        "<domain type='kvm'><name>a</name><memory>65536</memory><memoryBacking/><os/></domain>",
	"byte order mark":     "\uFEFF<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<domain type='kvm'>\n  <name>ü</name>\n  <memory>65536</memory>\n  <memoryBacking/>\n</domain>",
	"odd spacing":         "<domain  type = \"kvm\"\n  >\n    <name >a</name\n>\n    <memory\tunit\n=\n'MiB'\t>64</memory >\n\n\n    <currentMemory unit=\"MiB\"  >64</currentMemory></domain\n>",
	"> in attributes":     "<domain type='kvm' a='>/>' b=\"'>\">\n  <name a='/>'>a</name>\n  <memory dumpCore='off' x='unit=\"b\"' unit='MiB'>65</memory>\n  <memoryBacking a='>/memoryBacking>'></memoryBacking>\n</domain>",
	"entities":            "<domain type='kvm'>\n  <name>a&amp;b&#x3c;</name>\n  <title>&quot;</title>\n  <memory unit='M&#105;B'>6&#53;</memory>\n</domain>",
	"CDATA":               "<domain type='kvm'>\n  <name><![CDATA[a<memoryBacking/>]]></name>\n  <memory unit='MiB'>6<![CDATA[5]]><!-- x --></memory>\n</domain>",
	"DOCTYPE":             "<!DOCTYPE domain>\n<!-- a > b -->\n<domain type='kvm'>\n  <name>a</name>\n  <memory>65536</memory>\n</domain>\n<!-- end -->\n",
	"empty metadata":      "<domain type='kvm'>\n  <name>a</name>\n  <metadata/>\n  <memory unit='MiB'>65</memory>\n  <memoryBacking/>\n</domain>",
	"blank metadata":      "<domain type='kvm'>\n  <name>a</name>\n  <metadata>\n  </metadata>\n  <memory unit='MiB'>65</memory>\n  <memoryBacking/>\n</domain>",
	"look-alikes": `<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>a</name>
  <metadata>
    <!-- <memoryBacking><hugepages/></memoryBacking> -->
    <app:x xmlns:app="urn:app"><memoryBacking><hugepages/></memoryBacking><memory>1</memory></app:x>
    <domain xmlns="urn:y"><memoryBacking><hugepages/></memoryBacking></domain>
    <former xmlns="urn:z"><was at="memory">x</was></former>
  </metadata>
  <memoryBacking xmlns='urn:x'><hugepages/></memoryBacking>
  <x:memoryBacking xmlns:x='urn:x'><hugepages/></x:memoryBacking>
  <x:domain xmlns:x='urn:x'><memoryBacking><hugepages/></memoryBacking><memory>7</memory></x:domain>
  <memory unit='MiB' xmlns:y='urn:y' y:unit='GiB'>65</memory>
  <description><![CDATA[<memoryBacking><hugepages/></memoryBacking>]]></description>
  <devices><memoryBacking><hugepages/></memoryBacking><disk><source/><memory>3</memory></disk></devices>
  <qemu:commandline><qemu:arg value='-x'/></qemu:commandline>
</domain>
`,
	"memory last":  "<domain type='kvm'>\n  <os/>\n  <memory unit='MiB'>65</memory></domain>",
	"nothing else": "<domain type='kvm'><memory>65536</memory></domain>",
	"cells": `<domain type='kvm'>
  <name>a</name>
  <maxMemory slots='4' unit='GiB'>4</maxMemory>
  <memory unit='KiB'>232188</memory>
  <currentMemory unit='KiB'>232188</currentMemory>
  <cpu>
    <numa>
      <cell id='1' cpus='1' memory='66560' unit="KiB"/>
      <cell id="0" cpus='0' memory = "33"  unit='MiB'><distances><sibling id='0' value='10'/></distances></cell>
    </numa>
  </cpu>
  <devices>
    <memory model='dimm'>
      <target>
        <size unit='MB'>135</size>
        <node>0</node>
      </target>
    </memory>
  </devices>
</domain>
`,
	"cells that do not add up": "<domain type='kvm'><name>a</name><memory unit='MiB'>256</memory><cpu><numa><cell cpus='0' memory='33' unit='MiB'/></numa></cpu></domain>",
	"nodesets":                 "<domain type='kvm'><name>a</name><memoryBacking><hugepages><page size='2' unit='M' nodeset='1'/><page size='1' unit='GiB'/></hugepages></memoryBacking><cpu><numa><cell cpus='0' memory='1' unit='GiB'/><cell cpus='1' memory='64' unit='MiB'/></numa></cpu></domain>",
	"decimal unit":             "<domain type='kvm'>\n  <name>a</name>\n  <memory unit='MB'>65</memory>\n  <currentMemory unit='b'>65000000</currentMemory>\n</domain>",
	"anonymous":                "<domain type='kvm'>\n  <name>a</name>\n  <memory unit='MiB'>65</memory>\n  <memoryBacking>\n    <source type='anonymous'/>\n  </memoryBacking>\n</domain>",
}

var backings = []Backing{
	{PageSize: pages.Size2MiB, Round: true},
	{PageSize: pages.Size1GiB, Round: true},
	{PageSize: pages.Size2MiB, Keep: true, Round: true},
	{PageSize: pages.Size2MiB, Source: "memfd", Threads: 4, Round: true},
	{PageSize: pages.Size1GiB, Source: "file", Threads: -1, Round: true},
	{Source: "file"},
	{THP: true},
	{THP: true, Threads: 3, Round: true},
}

// holds checks what must hold for every document and wish.
func holds(t *testing.T, doc []byte, want Backing) {
	t.Helper()
	out, err := Rewrite(doc, want)
	if err != nil {
		if out != nil {
			t.Errorf("an error came with a document: %s", out)
		}
		return
	}
	if again, err := Rewrite(out, want); err != nil || !bytes.Equal(again, out) {
		t.Fatalf("%+v: twice is not once: %v\n%s\n%s", want, err, out, again)
	}
	backing := pages.Hugetlb
	if want.THP {
		backing = pages.THP
	}
	demand, err := Demand(out, 0)
	if err != nil || demand.Backing != backing {
		t.Errorf("%+v: the demand is %+v, %v\n%s", want, demand, err, out)
	}
	if diff := cmp.Diff(strangers(t, doc), strangers(t, out)); diff != "" {
		t.Errorf("%+v: what is not ours changed: %s\n%s", want, diff, out)
	}
	if bytes.Equal(out, doc) || bytes.Contains(doc, []byte(namespace)) {
		return // nothing to take back, or more to take back than this Rewrite's
	}
	if back, err := Revert(out, true); err != nil || !bytes.Equal(back, doc) {
		t.Errorf("%+v: reverting gives %v\n%q, not\n%q", want, err, back, doc)
	}
	// Through other pages, which keep the first text in mind.
	other := want
	other.THP = false
	other.PageSize, other.Ours, other.Source, other.Threads, other.Round = pages.Size1GiB, true, "file", 9, true
	if want.PageSize == pages.Size1GiB {
		other.PageSize = pages.Size2MiB
	}
	out2, err := Rewrite(out, other)
	if err != nil {
		t.Fatalf("%+v: a second time: %v\n%s", want, err, out)
	}
	if back, err := Revert(out2, true); err != nil || !bytes.Equal(back, doc) {
		t.Errorf("%+v: reverting after two gives %v\n%q, not\n%q\nfrom\n%s", want, err, back, doc, out2)
	}
}

// strangers returns the tokens of a document that are not ours to change: its
// own reading of it, by encoding/xml's namespaces, to compare with.
func strangers(t *testing.T, doc []byte) []string {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(doc))
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var kept, path []string
	skip := 0
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return collapse(kept)
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, doc)
		}
		switch tk := token.(type) {
		case xml.StartElement:
			path = append(path, tk.Name.Space+" "+tk.Name.Local)
			at := strings.Join(path, "/")
			if ours[at] {
				skip++
			}
			if skip == 0 {
				text := "<" + at
				for _, a := range tk.Attr {
					if sized[at] && a.Name.Space == "" && (a.Name.Local == "unit" || a.Name.Local == "memory") {
						continue
					}
					text += " " + a.Name.Space + ":" + a.Name.Local + "=" + a.Value
				}
				kept = append(kept, text)
			}
		case xml.EndElement:
			at := strings.Join(path, "/")
			if skip == 0 {
				kept = append(kept, ">"+at)
			}
			if ours[at] {
				skip--
			}
			path = path[:len(path)-1]
		case xml.CharData:
			text := strings.TrimSpace(string(tk))
			if skip == 0 && !(sized[strings.Join(path, "/")]) && text != "" && text != "\uFEFF" {
				kept = append(kept, string(tk))
			}
		case xml.Comment:
			if skip == 0 && !sized[strings.Join(path, "/")] {
				kept = append(kept, "<!--"+string(tk))
			}
		case xml.ProcInst:
			if skip == 0 {
				kept = append(kept, "<?"+tk.Target+" "+string(tk.Inst))
			}
		case xml.Directive:
			kept = append(kept, "<!"+string(tk))
		}
	}
}

// collapse takes out <memoryBacking> and <metadata> where they hold nothing.
func collapse(tokens []string) []string {
	var kept []string
	for _, token := range tokens {
		if n := len(kept) - 1; n >= 0 && (token == "> domain/ memoryBacking" || token == "> domain/ metadata") && strings.HasPrefix(kept[n], "<"+token[1:]) {
			kept = kept[:n]
			continue
		}
		kept = append(kept, token)
	}
	return kept
}

var ours = map[string]bool{
	" domain/ memoryBacking/ hugepages":          true,
	" domain/ memoryBacking/ source":             true,
	" domain/ memoryBacking/ access":             true,
	" domain/ memoryBacking/ allocation":         true,
	" domain/ metadata/" + namespace + " former": true,
}

var sized = map[string]bool{
	" domain/ memory":                        true,
	" domain/ currentMemory":                 true,
	" domain/ cpu/ numa/ cell":               true,
	" domain/ devices/ memory/ target/ size": true,
}

func TestOddDocuments(t *testing.T) {
	for name, doc := range odd {
		t.Run(name, func(t *testing.T) {
			if _, err := Rewrite([]byte(doc), backings[3]); err != nil {
				t.Error(err)
			}
			for _, want := range backings {
				holds(t, []byte(doc), want)
			}
		})
	}
}
