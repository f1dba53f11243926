package launcher

import (
	"path"
	"slices"
	"strings"
)

// Expand puts in the place of each pattern, such as web*, the names of the domains that
// match it, sorted and each once. A domain of precisely that name counts before the
// pattern. A pattern that nothing matches stays as it is, and is refused as a name is
// that no domain has.
func (l *Launcher) Expand(names []string) ([]string, error) {
	if !slices.ContainsFunc(names, isPattern) {
		return names, nil
	}
	all, err := l.Names()
	if err != nil {
		return nil, err
	}
	return expand(names, all), nil
}

func expand(names, all []string) (expanded []string) {
	matched := map[string]bool{}
	for _, name := range names {
		found := []string{name}
		if isPattern(name) && !slices.Contains(all, name) {
			if fits := matching(name, all); len(fits) > 0 {
				found = slices.DeleteFunc(fits, func(fit string) bool { return matched[fit] })
			}
		}
		for _, f := range found {
			matched[f] = true
		}
		expanded = append(expanded, found...)
	}
	return expanded
}

// isPattern says whether a name has a shell's wildcards, and is a whole pattern: web[ is
// none.
func isPattern(name string) bool {
	_, err := path.Match(name, "")
	return err == nil && strings.ContainsAny(name, "*?[")
}

// matching returns the names that match a pattern.
func matching(pattern string, all []string) (fits []string) {
	for _, name := range all {
		if ok, _ := path.Match(pattern, name); ok {
			fits = append(fits, name)
		}
	}
	return fits
}
