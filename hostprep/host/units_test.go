package host

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vmhuge/hostprep/hosttest"
)

// A unit is enabled by a link in any folder of systemd's, unless a stronger one masks the unit
// or the link.
func TestEnabledUnits(t *testing.T) {
	const etc, run, lib, generated = "etc/systemd/system/", "run/systemd/system/", "usr/lib/systemd/system/", "run/systemd/generator/"
	for name, test := range map[string]struct {
		files, links map[string]string
		want         string
	}{
		"nothing":             {},
		"of a package":        {nil, map[string]string{lib + "sysinit.target.wants/a.service": "../a.service"}, "a.service"},
		"of a generator":      {nil, map[string]string{generated + "local-fs.target.requires/a.mount": "../a.mount"}, "a.mount"},
		"until the next boot": {nil, map[string]string{run + "multi-user.target.wants/a.service": "/usr/lib/systemd/system/a.service"}, "a.service"},
		"masked":              {nil, map[string]string{lib + "basic.target.wants/a.service": "../a.service", etc + "a.service": "/dev/null"}, ""},
		"masked at run time":  {map[string]string{lib + "a.service": "[Service]"}, map[string]string{lib + "basic.target.wants/a.service": "../a.service", run + "a.service": "/dev/null"}, ""},
		"a weaker mask":       {map[string]string{etc + "a.service": "[Service]"}, map[string]string{etc + "basic.target.wants/a.service": "../a.service", lib + "a.service": "/dev/null"}, "a.service"},
		"an empty file":       {map[string]string{etc + "a.service": ""}, map[string]string{lib + "basic.target.wants/a.service": "../a.service"}, ""},
		"the link is masked":  {nil, map[string]string{lib + "basic.target.wants/a.service": "../a.service", etc + "basic.target.wants/a.service": "/dev/null"}, ""},
		"another link is not": {nil, map[string]string{lib + "basic.target.wants/a.service": "../a.service", etc + "x.target.wants/a.service": "/dev/null"}, "a.service"},
		"a weaker link":       {nil, map[string]string{etc + "basic.target.wants/a.service": "../a.service", lib + "basic.target.wants/a.service": "/dev/null"}, "a.service"},
		"for rescue alone":    {nil, map[string]string{lib + "rescue.target.wants/a.service": "../a.service", etc + "shutdown.target.wants/b.service": "../b.service"}, ""},
		"an instance's mask":  {map[string]string{etc + "a@.service": ""}, map[string]string{etc + "basic.target.wants/a@1.service": "../a@.service"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := hosttest.Unpack(t, "one-node", "")
			for file, text := range test.files {
				hosttest.WriteFile(t, root.Path(file), text)
			}
			for link, to := range test.links {
				hosttest.Must(t, os.MkdirAll(filepath.Dir(root.Path(link)), 0o755))
				hosttest.Must(t, os.Symlink(to, root.Path(link)))
			}
			enabled, err := Host{Root: root}.EnabledUnits()
			if got := strings.Join(slices.Sorted(maps.Keys(enabled)), " "); err != nil || got != test.want {
				t.Errorf("%q, not %q; %v", got, test.want, err)
			}
		})
	}
}
