package boot

import (
	"strings"

	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
)

// systemdBoot is systemd-boot, or another that starts what the entries of the Boot Loader
// Specification say and reads no other file.
//
// Source: uapi-group.org/specifications/specs/boot_loader_specification.
var systemdBoot = loader{name: "systemd-boot", find: findSystemdBoot, lines: cmdline.Lines}

func findSystemdBoot(h host.Host) ([]cmdline.File, bool, error) {
	// The loader that started the kernel left its name (systemd.io/BOOT_LOADER_INTERFACE).
	info, _ := h.ReadIfThere("/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
	if !strings.Contains(strings.ReplaceAll(info, "\x00", ""), "systemd-boot") {
		if defaults, err := h.ReadIfThere(cmdline.GrubDefaults); err != nil || defaults != "" {
			return nil, false, err
		}
	}
	var files []cmdline.File
	for _, dir := range []string{"/efi/loader/entries", "/boot/loader/entries", "/boot/efi/loader/entries"} {
		entries, err := cmdline.ReadEntries(h, dir)
		if err != nil {
			return nil, false, err
		}
		files = append(files, entries...)
	}
	return withKernelInstall(h, files)
}

// withKernelInstall adds what the entries of new kernels are made from, if it is there.
func withKernelInstall(h host.Host, entries []cmdline.File) (files []cmdline.File, inCharge bool, err error) {
	if len(entries) == 0 {
		return nil, false, nil
	}
	text, err := h.ReadIfThere(cmdline.KernelInstall)
	if text != "" {
		entries = append(entries, cmdline.File{Path: cmdline.KernelInstall, Text: text, Edited: true})
	}
	return entries, true, err
}
