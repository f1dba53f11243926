package xml

import (
	"bytes"
	"fmt"
	"testing"
)

// A document is remembered by its bytes, whatever becomes of the buffer that had them, and however
// many came in between.
func TestParseOnce(t *testing.T) {
	text := func(n int) []byte {
		return fmt.Appendf(nil, "<domain type='kvm'><name>web%d</name><memory>65536</memory></domain>", n)
	}
	buffer := text(0)
	first, err := parseOnce(buffer)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := parseOnce(text(0)); again != first || err != nil {
		t.Errorf("it is parsed again: %v", err)
	}
	copy(buffer, text(1))
	for n := range 2 * len(recent.docs) {
		d, err := parseOnce(text(n))
		if err != nil || d.domain.Name != fmt.Sprint("web", n) || !bytes.Equal(d.raw, text(n)) {
			t.Errorf("%d: %+v, %v", n, d, err)
		}
	}
	if d, err := parseOnce([]byte("<domain>")); err == nil {
		t.Errorf("half a document is %+v", d)
	}
}
