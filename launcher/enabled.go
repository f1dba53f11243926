package launcher

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"vmhuge/xml"
)

// Enabled returns the UUIDs of the domains that enable has changed, in order of their
// names, and the files with the former XML of domains that this libvirt does not have.
func (l *Launcher) Enabled() (uuids, orphans []string, err error) {
	if !l.test { // whose domains are definitions all the same
		if err := l.needHost("finding the domains that vmhuge enabled"); err != nil {
			return nil, nil, err
		}
	}
	copies, err := newCopies(l.host.Root)
	if err != nil {
		return nil, nil, err
	}
	domains, err := l.domains(nil)
	defer func() {
		for _, d := range domains {
			_ = d.Free()
		}
	}()
	if err != nil {
		return nil, nil, err
	}
	var all []string
	for _, d := range domains {
		all = append(all, d.uuid)
		if d.persistent && (copies.has(d.uuid) || xml.Marked(d.xml)) {
			uuids = append(uuids, d.uuid)
		}
	}
	kept, err := os.ReadDir(copies.root.Path())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for _, file := range kept {
		if uuid, ok := strings.CutSuffix(file.Name(), ".xml"); ok && !slices.Contains(all, uuid) {
			orphans = append(orphans, copies.path(uuid))
		}
	}
	return uuids, orphans, nil
}
