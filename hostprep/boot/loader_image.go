package boot

import (
	"slices"
	"strings"

	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
	"vmhuge/internal/lazyregexp"
)

// The loaders that get their command line from a file only when something is made anew of it:
// a unified image, which is a kernel that is one file with its command line, or boot entries
// whose hashes are noted for the TPM.
//
// Source: uapi-group.org/specifications/specs/unified_kernel_image.
var (
	// sdbootutil makes openSUSE's entries, for systemd-boot and for a GRUB that reads them.
	sdbootutil = anew("sdbootutil", "the boot entries have", cmdline.KernelInstall, "run sdbootutil update-all-entries", func(h host.Host) (bool, error) {
		return saysIn(h, loaderType, "/etc/sysconfig/bootloader")
	})
	kernelInstallImage = anew("unified kernel image by kernel-install", image, cmdline.KernelInstall, "run kernel-install add-all", func(h host.Host) (bool, error) {
		return imageAnd(h, layoutUKI, "/etc/kernel/install.conf", "/usr/lib/kernel/install.conf")
	})
	mkinitcpioImage = anew("unified kernel image by mkinitcpio", image, cmdline.KernelInstall+" (or, if there is one, to a file of /etc/cmdline.d)", "run mkinitcpio -P", func(h host.Host) (bool, error) {
		return imageAnd(h, presetUKI, in(h, "/etc/mkinitcpio.d", ".preset")...)
	})
	dracutImage = anew("unified kernel image by dracut", image, "kernel_cmdline in a file of /etc/dracut.conf.d", "run dracut --regenerate-all --force", func(h host.Host) (bool, error) {
		return imageAnd(h, dracutUEFI, append(in(h, "/etc/dracut.conf.d", ".conf"), "/etc/dracut.conf")...)
	})
	unifiedImage = anew("unified kernel image", image, cmdline.KernelInstall, "rebuild the kernel's image (kernel-install add-all, mkinitcpio -P or dracut --regenerate-all --force, as it was made before)", hasImage)
)

const image = "the kernel's image has"

var (
	loaderType = lazyregexp.New(`(?m)^[ \t]*LOADER_TYPE=["']?(?:systemd-boot|grub2-bls)\b`)
	layoutUKI  = lazyregexp.New(`(?m)^[ \t]*layout[ \t]*=[ \t]*uki\b`)
	presetUKI  = lazyregexp.New(`(?m)^[ \t]*\w+_(?:uki|efi_image)=`)
	dracutUEFI = lazyregexp.New(`(?m)^[ \t]*uefi=["']?yes\b`)
)

// anew is a loader of that kind: what is made, of which file, by which command.
func anew(name, product, file, command string, inCharge func(h host.Host) (bool, error)) loader {
	return loader{
		name:    name,
		product: product,
		find: func(h host.Host) ([]cmdline.File, bool, error) {
			found, err := inCharge(h)
			return nil, found, err
		},
		byHand: func(options string) string {
			if options == "" {
				return command + ", and reboot"
			}
			return "add " + options + " to " + file + ", " + command + ", and reboot"
		},
	}
}

// imageAnd says that the host boots a unified image, and that one of the files says who makes it.
func imageAnd(h host.Host, by *lazyregexp.Regexp, files ...string) (bool, error) {
	if found, err := hasImage(h); err != nil || !found {
		return false, err
	}
	return saysIn(h, by, files...)
}

// saysIn says whether a pattern is in the first of the files that is there, or in a later one.
func saysIn(h host.Host, pattern *lazyregexp.Regexp, files ...string) (bool, error) {
	for _, file := range files {
		text, err := h.ReadIfThere(file)
		if err != nil || pattern.Get().MatchString(text) {
			return err == nil, err
		}
	}
	return false, nil
}

// in lists the files of a folder whose names end so; one that can't be read has none.
func in(h host.Host, dir, end string) (files []string) {
	names, _ := h.NamesIn(dir)
	for _, name := range names {
		if strings.HasSuffix(name, end) {
			files = append(files, dir+"/"+name)
		}
	}
	return files
}

// hasImage says whether the kernel was started from such an image, which leaves its name
// (systemd.io/BOOT_LOADER_INTERFACE), or, where there is nothing else to boot, whether there is
// one.
func hasImage(h host.Host) (bool, error) {
	if marked(h, "/sys/firmware/efi/efivars/StubInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f") {
		return true, nil
	}
	for _, other := range []loader{systemdBoot, grubEntries, grub} {
		if _, found, err := other.find(h); err != nil || found {
			return false, err
		}
	}
	for _, dir := range []string{"/efi/EFI/Linux", "/boot/EFI/Linux", "/boot/efi/EFI/Linux"} {
		names, err := h.NamesIn(dir)
		if err != nil || slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ".efi") }) {
			return err == nil, err
		}
	}
	return false, nil
}
