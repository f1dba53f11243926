package xml

import (
	"testing"

	"vmhuge/internal/pages"
)

func TestSame(t *testing.T) {
	one := "<domain type='kvm' id='1'><!-- a --><name>a</name>\n <memory>1</memory></domain>"
	for other, want := range map[string]bool{
		one: true,
		"<domain id=\"1\" type=\"kvm\"><memory>1</memory><name>a</name></domain>":                                         true,
		"<domain type='kvm' id='1'><name>a</name><memory unit='b'>1024</memory><currentMemory>1</currentMemory></domain>": true,
		"<domain type='kvm' id='1'><name>a</name><memory unit='MiB'>1</memory></domain>":                                  false,
		"<domain type='kvm' id='1'><name>a</name></domain>":                                                               false,
		"<domain type='kvm' id='2'><name>a</name><memory>1</memory></domain>":                                             false,
		"<domain type='kvm' id='1'><name>a</name><memory>2</memory></domain>":                                             false,
		"<domain type='kvm' id='1'><name>a</name>":                                                                        false,
	} {
		if Same([]byte(one), []byte(other)) != want {
			t.Errorf("same is not %v: %s", want, other)
		}
	}
}

func TestMarked(t *testing.T) {
	doc := []byte(odd["self-closed"])
	out, err := Rewrite(doc, Backing{PageSize: pages.Size2MiB})
	if err != nil || Marked(doc) || !Marked(out) {
		t.Errorf("%v\n%s", err, out)
	}
}
