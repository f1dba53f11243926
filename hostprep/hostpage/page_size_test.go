package hostpage

import (
	"fmt"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// Of a text that only names a size, the host tells if its kernel or a mount lacks it.
func TestSizeFindings(t *testing.T) {
	for _, test := range []struct {
		host string
		size pages.Size
		want string
	}{
		{"fedora", pages.Size1GiB, "mount mount-missing"},
		{"two-nodes", pages.Size1GiB, "mount mount-missing"},
		{"no-1g", pages.Size1GiB, "page-size page-size-missing"},
		{"arm64-64k", pages.Size1GiB, "page-size page-size-missing"},
		{"arm64-64k", pages.Size2MiB, "mount mount-missing"},
		{"fedora", pages.Size2MiB, ""},
	} {
		findings, err := SizeFindings(host.Host{Root: hosttest.Unpack(t, test.host, "")}, test.size)
		hosttest.Must(t, err)
		var got string
		for _, f := range findings {
			got += fmt.Sprintf("%s %s", f.Check, f.Cause)
		}
		if got != test.want {
			t.Errorf("%s, %s: %q, not %q", test.host, test.size, got, test.want)
		}
	}
}
