package check

import (
	"testing"

	"vmhuge/hostprep"
	"vmhuge/internal/pages"
)

// What a check advises can be copied into a shell as it is, whatever the guest is called.
func TestCommandNamesTheGuest(t *testing.T) {
	for name, want := range map[string]string{
		"": "vmhuge enable --size 2M", "web1": "vmhuge enable --size 2M web1",
		"a b": "vmhuge enable --size 2M 'a b'", "--now": "vmhuge enable --size 2M -- --now",
	} {
		var g hostprep.Guest
		if g.Demand.Domain = name; enable(g, pages.Size2MiB) != want {
			t.Errorf("%q: %s", name, enable(g, pages.Size2MiB))
		}
	}
}
