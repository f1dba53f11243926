package main

import (
	"fmt"
	"slices"
	"strings"
)

// manual is a command's Description, taken apart: the text, and below the lines
// FILES and EXIT STATUS an indented row for each file and each exit code. A row
// without words of its own has those that the file or code has everywhere.
type manual struct {
	text         string
	files, exits []entry
}

// entry is a name and what there is to say of it.
type entry struct{ name, text string }

func readManual(description string) (m manual) {
	rest, exits, _ := strings.Cut(description, "\nEXIT STATUS\n")
	text, files, _ := strings.Cut(rest, "\nFILES\n")
	return manual{text: strings.TrimSpace(text), files: entries(files, everyFile()), exits: entries(exits, everyExit())}
}

// entries reads rows; known has the words of names that have none.
func entries(rows string, known []entry) (all []entry) {
	for row := range strings.Lines(rows) {
		name, text, _ := strings.Cut(strings.TrimSpace(row), "  ")
		if name == "" {
			continue
		}
		if i := slices.IndexFunc(known, func(e entry) bool { return e.name == name }); text == "" && i >= 0 {
			text = known[i].text
		}
		all = append(all, entry{name, strings.TrimSpace(text)})
	}
	return all
}

// everyExit are the exit codes that have one meaning in all commands.
func everyExit() []entry {
	return []entry{
		{fmt.Sprint(exitDone), "done, or ready"},
		{fmt.Sprint(exitFailed), "failed"},
		{fmt.Sprint(exitUsage), "wrong usage; nothing was done"},
		{fmt.Sprint(exitNotReady), "not ready: something other than memory or huge pages is wrong"},
		{fmt.Sprint(exitNoMemory), "not ready or not started: only memory or huge pages are missing"},
	}
}

// everyFile are the files that vmhuge writes, then those that it reads. The page
// of the program lists the first.
func everyFile() []entry {
	return append(ownFiles(),
		entry{"/etc/libvirt/qemu.conf", "QEMU's user and group, and libvirt's hugetlbfs mounts"},
		entry{"/proc/PID/numa_maps", "the NUMA nodes of QEMU's memory"},
		entry{"/proc/PID/smaps", "the kernel's accounting of QEMU's memory"},
		entry{"/proc/meminfo", "the host's memory"},
		entry{"/proc/mounts", "the hugetlbfs mounts"},
		entry{"/sys/devices/system/node/", "the pools of each NUMA node"},
		entry{"/sys/kernel/mm/hugepages/", "the pools of the whole host"},
		entry{"/sys/kernel/mm/transparent_hugepage/", "the settings of transparent huge pages"},
		entry{"/sys/fs/cgroup/", "the limits of the cgroups above the guests"},
		entry{"/usr/lib/vmhuge/vmhuge-hook", "the hook's program, which install copies; /usr/libexec/vmhuge/ in the .rpm"},
		entry{"/usr/share/bash-completion/completions/vmhuge", "the completion for bash"},
		entry{"/usr/share/fish/vendor_completions.d/vmhuge.fish", "the completion for fish"},
		entry{"/usr/share/man/man1/", "the man pages"},
		entry{"/usr/share/zsh/vendor-completions/_vmhuge", "the completion for zsh; site-functions/_vmhuge in the .rpm"},
		entry{"/var/log/audit/audit.log", "what AppArmor or SELinux denied"},
		entry{"/var/log/libvirt/qemu/", "QEMU's command line and errors, one log for each domain"},
	)
}

// ownFiles are the files that vmhuge itself writes.
func ownFiles() []entry {
	return []entry{
		{"/etc/default/grub.d/vmhuge.cfg", "kernel command line: pages of 1 GiB, reserved at boot; with other boot loaders it is in their own files"},
		{"/etc/libvirt/hooks/qemu.d/90-vmhuge", "the hook, a copy of vmhuge-hook; before libvirt 6.5 /etc/libvirt/hooks/qemu"},
		{"/etc/sysctl.d/99-vmhuge.conf", "pages of the default size on any node, reserved at boot"},
		{"/etc/systemd/system/vmhuge.service", "the unit that allocates the pages of single nodes at boot"},
		{"/etc/vmhuge/boot.json", "the pages to reserve at boot, and for which guests; the sysctl file, the unit and the kernel command line are generated from it"},
		{"/etc/vmhuge/hook.json", "the hook's settings, if they are not the defaults"},
		{"/etc/vmhuge/libvirt.json", "sysconfdir, localstatedir and runstatedir of a libvirt that has its files elsewhere than in /etc, /var and /run"},
		{"/run/vmhuge/claims/", "a file for each guest: how many pages vmhuge added for it, and where"},
		{"/run/vmhuge/hook.log", "one line for each hook call since boot"},
		{"/var/lib/vmhuge/changes.json", "the changes that vmhuge undo can revert"},
		{"/var/lib/vmhuge/domains/UUID.xml", "the original XML of an enabled domain; for ordinary users in ~/.local/state/vmhuge/domains/"},
		{"/var/lib/vmhuge/hook.json", "what hook install changed, for hook remove"},
	}
}
