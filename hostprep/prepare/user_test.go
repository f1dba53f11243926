package prepare

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// A user's libvirtd is found by what it has written into the user's own folder,
// and nothing else that may lie there has root follow it, wait, or end another's.
func TestSessionDaemon(t *testing.T) {
	const file = "/run/user/1000/libvirt/libvirtd.pid"
	inPlace := func(of string, by func(path string) error) func(root string) error {
		return func(root string) error {
			return errors.Join(os.Rename(root+of, root+"/away"), by(root+of))
		}
	}
	link := func(to string) func(string) error { return func(path string) error { return os.Symlink(to, path) } }
	text := func(text string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(text), 0o644) }
	}
	for name, test := range map[string]struct {
		edit func(root string) error
		want int
	}{
		"its own":         {func(string) error { return nil }, 900},
		"root's":          {inPlace(file, text("812\n")), 0},
		"another program": {inPlace("/proc/900/comm", text("bash\n")), 0},
		"one that ended":  {inPlace(file, text("901\n")), 0},
		"no number":       {inPlace(file, text("900 1\n")), 0},
		"a link":          {inPlace(file, link("../../../../away")), 0},
		"an endless one":  {inPlace(file, link("/dev/zero")), 0},
		"a pipe":          {inPlace(file, func(path string) error { return unix.Mkfifo(path, 0o600) }), 0},
		"a linked folder": {inPlace("/run/user/1000/libvirt", link("../../../away")), 0},
		"nothing":         {func(root string) error { return os.RemoveAll(root + "/run/user") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- proc/900/comm --\nlibvirtd\n-- proc/812/comm --\nlibvirtd\n-- "+file[1:]+" --\n900\n-- modes --\nproc/900 0755 1000:1000\n")}
			hosttest.Must(t, test.edit(h.Root.Path()))
			if got := sessionDaemon(h, host.User{Name: "alice", UID: 1000}); got != test.want {
				t.Errorf("%d, not %d", got, test.want)
			}
		})
	}
}
