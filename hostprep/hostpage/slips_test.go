package hostpage

import (
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// After a correction it is named what takes it up: of a mount unit the unit by its right name.
func TestAfterSlips(t *testing.T) {
	for edit, want := range map[string]string{
		"-- etc/systemd/system/big.mount --\n[Mount]\nWhat=hugetlbfs\nWhere=/dev/huge1G\nType=hugetlbfs\n":      "systemctl restart dev-huge1G.mount",
		"-- etc/systemd/system/big.mount --\n[Mount]\nWhat=hugetlbfs\nWhere=/big\nType=hugetlb\n":               "systemctl restart big.mount",
		"-- etc/systemd/system/srv-sysctl.mount --\n[Mount]\nWhat=hugetlbfs\nWhere=/srv/sysctl\nType=hugetlb\n": "systemctl restart srv-sysctl.mount",
		"-- etc/systemd/system/dev-hugepages.mount.d/a.conf --\n[Mount]\nOptions=pagesz=1G\n":                   "systemctl restart dev-hugepages.mount",
		"-- etc/fstab --\nnone /srv/sysctl hugetlb defaults 0 0\n":                                              "systemctl daemon-reload; mount -a",
		"-- etc/sysctl.d/90-hp.conf --\nvm.nr_hugepage = 8\n":                                                   "sysctl --system",
		"-- etc/tuned/active_profile --\nweb\n-- etc/systemd/system/multi-user.target.wants/tuned.service --\n[Service]\n" +
			"-- etc/tuned/web/tuned.conf --\n[sysctl]\nvm.nr_hugepage = 8\n": "systemctl restart tuned",
	} {
		facts, err := slipsCheck.Look(host.Host{Root: hosttest.Unpack(t, "one-node", edit)}, anyGuest{})
		if err != nil || len(facts) != 1 || !strings.HasSuffix(facts[0].Do, want) {
			t.Errorf("%q: %v, %+v", edit, err, facts)
		}
	}
}

// A node without memory has no pages, whatever the others have.
func TestPoolsBesideANodeWithoutMemory(t *testing.T) {
	const pools = "-- pools --\nall 2048 2048 1200 0 0 0\n0 2048 2048 1200 0\n1 2048 0 0 0\n"
	const empty = "-- sys/devices/system/node/node1/meminfo --\nNode 1 MemTotal: 0 kB\nNode 1 MemFree: 0 kB\n"
	for edit, want := range map[string]int{pools: 1, pools + empty: 0} {
		facts, err := poolsCheck.Look(host.Host{Root: hosttest.Unpack(t, "two-nodes", edit)}, anyGuest{})
		uneven := 0
		for _, f := range facts {
			if strings.HasPrefix(f.Need, "the same number on each node") {
				uneven++
			}
		}
		if err != nil || uneven != want {
			t.Errorf("%q: %v, %d uneven, not %d", edit, err, uneven, want)
		}
	}
}
