package hostprep

import (
	"os"
	"regexp"
	"strings"
)

var grubAssignment = regexp.MustCompile(`^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)(\+?)=("(?:[^"\\]|\\.)*"|'[^']*'|[^ \t;]*)`)

// grubSettings reads the settings of /etc/default/grub and of the files after
// it, which are shell: assignments, with variables in them. Of what else a shell
// could make of them the words are kept, so that an option is not overlooked.
//
//	GRUB_CMDLINE_LINUX_DEFAULT="quiet splash"
//	GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX console=ttyS0"
func grubSettings(files []loaderFile) map[string]string {
	set := map[string]string{}
	for _, f := range files {
		for line := range strings.Lines(strings.ReplaceAll(f.text, "\\\n", "")) {
			m := grubAssignment.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if m == nil {
				continue
			}
			name, value := m[1], m[3]
			switch {
			case strings.HasPrefix(value, "'"):
				value = strings.Trim(value, "'")
			case strings.Contains(value, "$(") || strings.Contains(value, "`"):
				value = strings.Trim(value, `"`)
			default:
				value = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`), `\"`, `"`)
				value = os.Expand(value, func(name string) string { return set[name] })
			}
			if m[2] != "" {
				value = set[name] + value
			}
			set[name] = value
		}
	}
	return set
}

// grubLine is the command line that grub-mkconfig gives to Linux (10_linux).
func grubLine(files []loaderFile) string {
	set := grubSettings(files)
	return strings.TrimSpace(set["GRUB_CMDLINE_LINUX"] + " " + set["GRUB_CMDLINE_LINUX_DEFAULT"])
}

// grubOwn is our file's text.
func grubOwn(ours string) string {
	return "# Huge pages for guests, by vmhuge prepare. vmhuge undo removes this file.\n" +
		`GRUB_CMDLINE_LINUX_DEFAULT="` + withOurs("$GRUB_CMDLINE_LINUX_DEFAULT", ours) + "\"\n"
}
