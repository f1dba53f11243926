package cmdline

import (
	"fmt"
	"strings"

	"vmhuge/internal/lazyregexp"
)

// grubenv has the variables of GRUB, to which its entries may refer. GRUB writes into the
// blocks of this file, so that its size must stay: # fills it up.
var grubenv = form{
	is:       func(name string) bool { return name == "grubenv" },
	patterns: []*lazyregexp.Regexp{lazyregexp.New(`(?m)^kernelopts=(.*)$`)},
	example:  "kernelopts=root=… ro",
	fit:      fitGrubenv,
}

// fitGrubenv gives an edited text the size of the text that was there.
func fitGrubenv(text, edited string) (string, error) {
	end := ""
	if strings.HasSuffix(edited, "#\n") {
		end = "\n"
	}
	edited = strings.TrimRight(strings.TrimSuffix(edited, end), "#")
	if room := len(text) - len(edited) - len(end); room >= 0 {
		return edited + strings.Repeat("#", room) + end, nil
	}
	return "", fmt.Errorf("it has no room: GRUB needs it to stay at %d bytes", len(text))
}

// grubVariables reads what grubenv sets.
func grubVariables(text string) map[string]string {
	set := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		set[name] = value
	}
	return set
}
