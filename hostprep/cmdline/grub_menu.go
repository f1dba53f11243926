package cmdline

import (
	"os"

	"vmhuge/hostprep/host"
	"vmhuge/internal/lazyregexp"
)

// ReadGrubMenu reads the command line of the first entry that starts Linux in the menu that
// grub-mkconfig has made, with the variables that the menu sets; none: there is no such menu.
func ReadGrubMenu(h host.Host) ([]Line, error) {
	for _, file := range []string{"/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"} {
		text, err := h.ReadIfThere(file)
		if err != nil {
			return nil, err
		}
		line := menuLinux.Get().FindStringSubmatch(text)
		if line == nil {
			continue
		}
		set := map[string]string{}
		for _, m := range menuSet.Get().FindAllStringSubmatch(text, -1) {
			set[m[1]] = m[2]
		}
		return []Line{{file, os.Expand(line[1], func(name string) string { return set[name] })}}, nil
	}
	return nil, nil
}

var (
	menuLinux = lazyregexp.New(`(?m)^[ \t]*linux(?:16|efi)?[ \t]+\S+[ \t]+(.*)$`)
	menuSet   = lazyregexp.New(`(?m)^[ \t]*set[ \t]+(\w+)="([^"\n]*)"`)
)
