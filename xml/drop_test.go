package xml

import (
	"bytes"
	"testing"

	"vmhuge/internal/pages"
)

func TestDrop(t *testing.T) {
	for name, test := range map[string]struct{ from, out string }{
		"nothing to drop": {"<domain><memory>65536</memory></domain>", "<domain><memory>65536</memory></domain>"},
		"all of memoryBacking": {
			"<domain>\n <memory>65536</memory>\n <memoryBacking>\n  <hugepages/>\n </memoryBacking>\n <vcpu>1</vcpu>\n</domain>",
			"<domain>\n <memory>65536</memory>\n <vcpu>1</vcpu>\n</domain>"},
		"a part of it": {
			"<domain>\n <memory>65536</memory>\n <memoryBacking>\n  <hugepages>\n   <page size='2048' unit='KiB'/>\n  </hugepages>\n  <locked/>\n </memoryBacking>\n</domain>",
			"<domain>\n <memory>65536</memory>\n <memoryBacking>\n  <locked/>\n </memoryBacking>\n</domain>"},
		"the page of a device": {
			"<domain><memory>131072</memory><cpu><numa><cell id='0' memory='65536'/></numa></cpu><devices><memory model='dimm'><source> <pagesize unit='KiB'>2048</pagesize><nodemask>0</nodemask></source><target><size>65536</size><node>0</node></target></memory></devices></domain>",
			"<domain><memory>131072</memory><cpu><numa><cell id='0' memory='65536'/></numa></cpu><devices><memory model='dimm'><source><nodemask>0</nodemask></source><target><size>65536</size><node>0</node></target></memory></devices></domain>"},
		"not what only looks so": {
			"<domain><metadata><hugepages/></metadata><memory>65536</memory></domain>",
			"<domain><metadata><hugepages/></metadata><memory>65536</memory></domain>"},
		"cut off": {"<domain><memory>65536</memory><memoryBacking><hugepages/>", ""},
	} {
		out, err := Drop([]byte(test.from))
		if string(out) != test.out || (err == nil) != (test.out != "") {
			t.Errorf("%s: %v\n%s\nnot\n%s", name, err, out, test.out)
		}
	}
}

func FuzzDrop(f *testing.F) {
	f.Add([]byte("<domain>\n <memory>65536</memory>\n <memoryBacking>\n  <hugepages/>\n </memoryBacking>\n</domain>"))
	f.Add([]byte("<domain><memory>131072</memory><devices><memory model='dimm'><source><pagesize>2048</pagesize></source><target><size>65536</size></target></memory></devices></domain>"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		out, err := Drop(doc)
		if err != nil {
			return
		}
		if again, err := Drop(out); err != nil || !bytes.Equal(again, out) {
			t.Errorf("%q became %q, then %q, %v", doc, out, again, err)
		}
		if d, err := Demand(out, 0); err == nil && d.Backing != pages.None {
			t.Errorf("%q became %q, which demands %v", doc, out, d)
		}
	})
}
