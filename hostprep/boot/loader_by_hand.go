package boot

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
)

// The hosts whose boot loader's files are made by something else, which would overwrite
// an edit.

var container = loader{
	name: "container",
	find: func(h host.Host) ([]cmdline.File, bool, error) {
		return nil, marked(h, "/run/systemd/container", "/.dockerenv", "/run/.containerenv"), nil
	},
	byHand: func(options string) string {
		return "put " + options + " on the kernel command line of this container's host, and reboot that host"
	},
}

var ostree = loader{
	name: "ostree",
	find: func(h host.Host) ([]cmdline.File, bool, error) { return nil, marked(h, "/run/ostree-booted"), nil },
	byHand: func(options string) string {
		return "rpm-ostree kargs --append=" + strings.ReplaceAll(options, " ", " --append=") + ", and reboot"
	},
}

var nixOS = loader{
	name: "NixOS",
	find: func(h host.Host) ([]cmdline.File, bool, error) { return nil, marked(h, "/etc/NIXOS"), nil },
	byHand: func(options string) string {
		return `add boot.kernelParams = [ "` + strings.ReplaceAll(options, " ", `" "`) + `" ]; to the configuration, nixos-rebuild boot, and reboot`
	},
}

var readOnlyEtc = loader{
	name: "read-only /etc",
	find: func(h host.Host) ([]cmdline.File, bool, error) {
		var st unix.Statfs_t
		err := unix.Statfs(h.Root.Path("etc"), &st)
		return nil, err == nil && st.Flags&unix.ST_RDONLY != 0, nil
	},
	byHand: func(options string) string {
		return "/etc is read-only: put " + options + " on the kernel's command line in what this system's image is made from, and reboot"
	},
}

// elsewhere is in charge where nothing else is.
var elsewhere = loader{
	name: "elsewhere",
	find: func(host.Host) ([]cmdline.File, bool, error) { return nil, true, nil },
	byHand: func(options string) string {
		return "put " + options + " on the kernel's command line, wherever this machine gets it from, and reboot"
	},
}

// marked says whether a host has one of the files by which it is known.
func marked(h host.Host, files ...string) bool {
	return slices.ContainsFunc(files, func(file string) bool {
		st, err := h.Lstat(file)
		return err == nil && st != nil
	})
}
