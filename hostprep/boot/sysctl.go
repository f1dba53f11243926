package boot

import (
	"fmt"
	"slices"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/sysctl"
)

// SysctlFile is vmhuge's file. It is read after the usual link to /etc/sysctl.conf,
// 99-sysctl.conf.
const SysctlFile = "/etc/sysctl.d/99-vmhuge.conf"

// Sets says whether a line sets a setting. vm.nr_hugepages_mempolicy sets the same pool as
// vm.nr_hugepages, on the nodes that the memory policy of the writer allows: for sysctl on all.
//
// Source: hugetlb_mempolicy_sysctl_handler() in the kernel's mm/hugetlb.c.
func (s Setting) Sets(name string) bool {
	return s.Name == name || name == "vm.nr_hugepages" && s.Name == "vm.nr_hugepages_mempolicy"
}

// hugepages is the number of pages that a setting gets at boot, vmhuge's own file aside. What
// is no number the kernel refuses. What the kernel's command line reserves is there when
// sysctl's files set the pool; next says that the next boot's counts where it asks for more.
func hugepages(h host.Host, name string, next bool) (int64, error) {
	settings, err := SysctlLines(h)
	for _, s := range slices.Backward(settings) {
		if n, wrong := sysctl.Number(s.Value); s.Sets(name) && wrong == nil {
			return n, err
		}
	}
	if err != nil || name != "vm.nr_hugepages" {
		return 0, err
	}
	kernel, err := ReadKernel(h)
	if err != nil {
		return 0, err
	}
	n, setting := kernel.Reserves()
	if !next || setting != "" {
		return n, nil
	}
	size, err := kernel.nextDefaultSize(h)
	if err != nil {
		return 0, err
	}
	reserved, err := kernel.reservedNext(h)
	return reserved[size], err
}

// Kept is the first line of each file that vmhuge writes for boot. It stays the same in
// all versions: by it vmhuge knows its units.
const Kept = "# Kept by vmhuge prepare --persist; vmhuge undo takes it away.\n"

// sysctlText is the text of our file; "": there is nothing to set.
func sysctlText(settings []string) string {
	if len(settings) == 0 {
		return ""
	}
	return Kept + strings.Join(settings, "\n") + "\n"
}

// sysctlPages is the setting that reserves so many pages of the default size, or
// lets the kernel make as many. What another file or the command line asks for is on top
// of it, as a setting replaces what was there.
func sysctlPages(h host.Host, n int64, overcommit bool) (string, error) {
	name := "vm.nr_hugepages"
	if overcommit {
		name = "vm.nr_overcommit_hugepages"
	}
	others, err := hugepages(h, name, true)
	return fmt.Sprintf("%s = %d", name, others+n), err
}
