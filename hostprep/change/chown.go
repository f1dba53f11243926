package change

import (
	"strings"

	"vmhuge/hostprep/host"
)

// KindChown changes owner and group of a folder: 0:107.
const KindChown Kind = "chown"

var chown = kind{
	name: KindChown,
	find: func(_ Change, _ host.Host, parent int, name string) (string, error) {
		st, err := statDir(parent, name)
		if st == nil {
			return "", err
		}
		_, owner, _ := strings.Cut(host.OwnerText(st), " ")
		return owner, err
	},
	line: func(c Change) string { return c.toFrom("chown %s %s") },
}
