package change

import (
	"fmt"
	"path"

	"vmhuge/hostprep/host"
)

// KindMount mounts or unmounts a hugetlbfs. From and To are its options: pagesize=2M.
const KindMount Kind = "mount"

var mount = kind{
	name: KindMount,
	find: func(c Change, h host.Host, _ int, _ string) (string, error) {
		m, ok, err := h.MountOf(c.Path)
		if !ok || m.Point != path.Clean(c.Path) {
			return "", err
		}
		return m.Options(), nil
	},
	line: func(c Change) string {
		if c.To == "" {
			return fmt.Sprintf("umount %s (was %s)", c.Path, c.From)
		}
		return fmt.Sprintf("mount -t hugetlbfs -o %s hugetlbfs %s", c.To, c.Path)
	},
}
