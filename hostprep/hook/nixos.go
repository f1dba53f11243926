package hook

import (
	"os"
	"path"
	"strings"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/internal/advice"
)

// NixOS makes libvirt's folder of hooks from its configuration, anew at each boot, with links into
// its store. A hook that is copied there would be gone after a reboot.

// nixModule is what installs the hook there: an option of packaging/nix/module.nix.
const nixModule = "programs.vmhuge.hook.enable = true;"

// linkOnNixOS returns what the state of a hook is that NixOS has linked to a vmhuge-hook; "": this
// is no such link.
func linkOnNixOS(h host.Host, file string) (string, error) {
	if nixOS, err := h.NixOS(); err != nil || !nixOS {
		return "", err
	}
	to, err := os.Readlink(h.Root.Path(file))
	if err != nil || path.Clean(to) != to || !strings.HasPrefix(to, "/nix/store/") || !isHookProgram(h, to) {
		return "", nil
	}
	sum, err := change.HashFile(h.Root.Path(to))
	return "a link to " + to + " " + sum, err
}

// planOnNixOS says what the configuration lacks for the hook to be installed with these settings.
func planOnNixOS(h host.Host, file place, want Settings) error {
	if !file.linked {
		return advice.New(installing, "NixOS makes "+path.Dir(file.Path)+" from its configuration, anew at each boot",
			"add "+nixModule+" to the configuration, with vmhuge's module for NixOS, and nixos-rebuild switch")
	}
	now, err := ReadSettings(h)
	if err != nil || now == want {
		return advice.About(err, installing)
	}
	return advice.New(installing, "NixOS makes its settings from its configuration",
		"set programs.vmhuge.hook.dropIfShort and hostReserveKiB there, and nixos-rebuild switch")
}

// removalOnNixOS refuses to remove a hook that would come back.
func removalOnNixOS(h host.Host) error {
	if file, err := Find(h, 0); err != nil || !file.linked {
		return advice.About(err, removing)
	}
	return advice.New(removing, "NixOS makes it from its configuration", "remove "+nixModule+" there, and nixos-rebuild switch")
}
