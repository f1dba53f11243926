package boot

import (
	"fmt"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// NixOS makes the files of /etc from its configuration, and makes them anew whenever that changes:
// what vmhuge wrote there would not last.

// ByHandError says what the user must do for what vmhuge can't keep over a reboot itself.
type ByHandError string

func (e ByHandError) Error() string { return string(e) }

// InNixOS is what to do for a line of NixOS's configuration.
func InNixOS(line string) string {
	return "add " + line + " to the configuration, and nixos-rebuild switch"
}

// planOnNixOS says what of a table NixOS's configuration lacks, but for the kernel's command line.
func planOnNixOS(old, table Table, settings []string) []hostprep.Finding {
	var lines []string
	for _, setting := range settings { // vm.nr_hugepages = 512
		name, value, _ := strings.Cut(setting, " = ")
		lines = append(lines, fmt.Sprintf(`boot.kernel.sysctl."%s" = %s;`, name, value))
	}
	if len(lines) == 0 {
		return nil
	}
	return []hostprep.Finding{{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Do: InNixOS(strings.Join(lines, " ")), Need: table.Words(),
		Have: "after a reboot the host has " + old.Words() + ", and vmhuge can't change that here: NixOS makes /etc from its configuration"}}
}

// mountOnNixOS is MountPlan there: a ByHandError where the configuration lacks the mount. there
// says that it has one.
func mountOnNixOS(h host.Host, m host.Mount, there bool, options, group string, sized pages.Size) error {
	by, has, err := MountWithoutSize(h, m.Point)
	if err != nil {
		return err
	}
	if there && (group == "" || ownedBy(has, group) == has) && (sized == 0 || by == "") {
		return nil
	}
	list := strings.Split(ownedBy(options, group), ",")
	for i, option := range list {
		list[i] = `"` + option + `"`
	}
	return ByHandError(InNixOS(fmt.Sprintf(`fileSystems."%s" = { device = "hugetlbfs"; fsType = "hugetlbfs"; options = [ %s ]; };`, m.Point, strings.Join(list, " "))))
}
