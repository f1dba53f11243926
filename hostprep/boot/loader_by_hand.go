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
	find: func(h host.Host) ([]cmdline.File, bool, error) { found, err := h.NixOS(); return nil, found, err },
	byHand: func(options string) string {
		return `add boot.kernelParams = [ "` + strings.ReplaceAll(options, " ", `" "`) + `" ]; to the configuration, nixos-rebuild boot, and reboot`
	},
}

var guix = loader{
	name: "Guix",
	find: func(h host.Host) ([]cmdline.File, bool, error) {
		ids, err := h.Distributions()
		return nil, slices.Contains(ids, "guix"), err
	},
	byHand: func(options string) string {
		return `add (kernel-arguments (append '("` + strings.ReplaceAll(options, " ", `" "`) + `") %default-kernel-arguments)) to the operating-system, guix system reconfigure, and reboot`
	},
}

// transactional is SUSE's GRUB on a root file system that is read-only: its menu is made in
// the next snapshot. Source: transactional-update(8).
var transactional = loader{
	name: "transactional-update",
	find: func(h host.Host) ([]cmdline.File, bool, error) {
		mounts, err := h.MountTable()
		readOnly := slices.ContainsFunc(mounts, func(m host.MountLine) bool { return m.Point == "/" && m.Flags.Has("ro") })
		return nil, readOnly && marked(h, "/usr/sbin/transactional-update", "/usr/bin/transactional-update"), err
	},
	byHand: func(options string) string {
		return "add " + options + " to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, transactional-update grub.cfg, and reboot"
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

// Source: limine's CONFIG.md; /etc/default/limine is limine-entry-tool's.
var limine = loader{
	name: "Limine",
	find: func(h host.Host) ([]cmdline.File, bool, error) {
		return nil, marked(h, "/boot/limine.conf", "/boot/limine/limine.conf", "/boot/EFI/limine/limine.conf", "/boot/EFI/BOOT/limine.conf",
			"/boot/efi/limine.conf", "/boot/efi/EFI/limine/limine.conf", "/efi/limine.conf", "/efi/EFI/limine/limine.conf"), nil
	},
	byHand: func(options string) string {
		return "add " + options + " to KERNEL_CMDLINE[default] in /etc/default/limine and run limine-update, or, without that file, to each cmdline: in limine.conf; then reboot"
	},
}

// alpineExtlinux is Alpine's, whose menu update-extlinux makes.
var alpineExtlinux = loader{
	name: "update-extlinux",
	find: func(h host.Host) ([]cmdline.File, bool, error) {
		return nil, marked(h, "/etc/update-extlinux.conf") && marked(h, "/boot/extlinux.conf"), nil
	},
	byHand: func(options string) string {
		return "add " + options + " to default_kernel_opts in /etc/update-extlinux.conf, run update-extlinux, and reboot"
	},
}

// extlinux is also U-Boot with its file. Source: u-boot-update(8), extlinux-update(8).
var extlinux = loader{
	name: "extlinux",
	find: func(h host.Host) ([]cmdline.File, bool, error) {
		return nil, marked(h, "/boot/extlinux/extlinux.conf", "/extlinux/extlinux.conf"), nil
	},
	byHand: func(options string) string {
		return "add " + options + " to U_BOOT_PARAMETERS in /etc/default/u-boot and run u-boot-update, or, without that file, to each append line of extlinux.conf; then reboot"
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
