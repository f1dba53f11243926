package change

import "vmhuge/hostprep/host"

// KindChmod changes the mode of a folder: 0755.
const KindChmod Kind = "chmod"

var chmod = kind{
	name: KindChmod,
	find: func(_ Change, _ host.Host, parent int, name string) (string, error) {
		st, err := statDir(parent, name)
		if st == nil {
			return "", err
		}
		return host.ModeText(st.Mode), err
	},
	line: func(c Change) string { return c.toFrom("chmod %s %s") },
}
