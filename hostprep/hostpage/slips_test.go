package hostpage

import (
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// After a mount unit is corrected the unit of its right name is restarted.
func TestRestartOfMountUnit(t *testing.T) {
	for edit, want := range map[string]string{
		"-- etc/systemd/system/big.mount --\n[Mount]\nWhat=hugetlbfs\nWhere=/dev/huge1G\nType=hugetlbfs\n": "systemctl restart dev-huge1G.mount",
		"-- etc/systemd/system/big.mount --\n[Mount]\nWhat=hugetlbfs\nWhere=/big\nType=hugetlb\n":          "systemctl restart big.mount",
	} {
		facts, err := slipsCheck.Look(host.Host{Root: hosttest.Unpack(t, "one-node", edit)}, anyGuest{})
		if err != nil || len(facts) != 1 || !strings.HasSuffix(facts[0].Do, want) {
			t.Errorf("%q: %v, %+v", edit, err, facts)
		}
	}
}
