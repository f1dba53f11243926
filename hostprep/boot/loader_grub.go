package boot

import (
	"strings"

	"vmhuge/hostprep/cmdline"
)

// grubLine is the command line that grub-mkconfig gives to Linux (10_linux).
func grubLine(files []cmdline.File) string {
	set := cmdline.GrubSettings(files)
	return strings.TrimSpace(set["GRUB_CMDLINE_LINUX"] + " " + set["GRUB_CMDLINE_LINUX_DEFAULT"])
}

// grubOwn is our file's text.
func grubOwn(ours string) string {
	return "# Huge pages for guests, by vmhuge prepare. vmhuge undo removes this file.\n" +
		`GRUB_CMDLINE_LINUX_DEFAULT="` + cmdline.With("$GRUB_CMDLINE_LINUX_DEFAULT", ours) + "\"\n"
}
