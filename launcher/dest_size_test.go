package launcher

import (
	"testing"

	"vmhuge/internal/pages"
)

// A page size is advised that the guest's architecture and the other host have.
func TestUsualThere(t *testing.T) {
	for _, test := range []struct {
		arch string
		have []pages.Size
		want pages.Size
	}{
		{"x86_64", []pages.Size{pages.Size2MiB, pages.Size1GiB}, pages.Size2MiB},
		{"s390x", []pages.Size{pages.Size(pages.MiB)}, pages.Size(pages.MiB)},
		{"aarch64", []pages.Size{pages.Size2MiB, pages.Size(512 * pages.MiB), pages.Size(16 * pages.GiB)}, pages.Size(512 * pages.MiB)},
	} {
		doc := "<domain type='kvm'><name>a</name><memory unit='GiB'>1</memory><os><type arch='" + test.arch + "'>hvm</type></os></domain>"
		if got := usualThere([]byte(doc), test.have); got != test.want {
			t.Errorf("%s: %s, not %s", test.arch, got, test.want)
		}
	}
}
