package boot

import (
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/sysctl"
)

// isPattern says whether a name stands for several settings: vm.nr_huge*.
func isPattern(name string) bool { return strings.ContainsAny(name, "*?[") }

// leftOut are the names that patterns leave out: those on a line of their own, behind a -.
func leftOut(h host.Host, files []string) (names []string, err error) {
	err = EachLine(h, files, func(_, line string) {
		if name, ok := strings.CutPrefix(line, "-"); ok && !strings.Contains(name, "=") {
			names = append(names, strings.ReplaceAll(strings.TrimSpace(name), "/", "."))
		}
	})
	return names, err
}

// matched has for each pattern the settings about huge pages that it stands for, but for those
// that are left out and those that any line names itself.
//
// Source: sysctl.d(5).
func matched(settings []Setting, leftOut []string) (all []Setting) {
	for _, s := range settings {
		if !isPattern(s.Name) {
			all = append(all, s)
			continue
		}
		pattern := s.Name
		for _, name := range sysctl.HugePageSettings {
			ok, _ := path.Match(strings.ReplaceAll(pattern, ".", "/"), strings.ReplaceAll(name, ".", "/"))
			named := slices.ContainsFunc(settings, func(s Setting) bool { return s.Name == name })
			if ok && !named && !slices.Contains(leftOut, name) {
				s.Name = name
				all = append(all, s)
			}
		}
	}
	return all
}
