package cmdline

import (
	"os"
	"strings"

	"vmhuge/internal/lazyregexp"
)

// The files of GRUB.
const (
	GrubDefaults = "/etc/default/grub"
	GrubFile     = "/etc/default/grub.d/vmhuge.cfg"
	GrubEntryDir = "/boot/loader/entries"
)

// grubDefaults is /etc/default/grub. The first pattern's variable is not on the command
// line of the recovery mode, so that a host that was asked for too many pages still
// boots there.
var grubDefaults = form{
	is: func(name string) bool { return name == "grub" },
	patterns: []*lazyregexp.Regexp{
		lazyregexp.New(`(?m)^[ \t]*GRUB_CMDLINE_LINUX_DEFAULT=["']([^"'\n]*)["'][ \t]*(?:#.*)?$`),
		lazyregexp.New(`(?m)^[ \t]*GRUB_CMDLINE_LINUX=["']([^"'\n]*)["'][ \t]*(?:#.*)?$`),
	},
	example: `GRUB_CMDLINE_LINUX_DEFAULT=""`,
	line: func(text string, _ map[string]string) (string, bool) {
		return GrubLine([]File{{Text: text}}), true
	},
}

// GrubLine is the command line that grub-mkconfig makes of /etc/default/grub and the
// files after it (10_linux).
func GrubLine(files []File) string {
	set := GrubSettings(files)
	return strings.TrimSpace(set["GRUB_CMDLINE_LINUX"] + " " + set["GRUB_CMDLINE_LINUX_DEFAULT"])
}

var grubAssignment = lazyregexp.New(`^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)(\+?)=("(?:[^"\\]|\\.)*"|'[^']*'|[^ \t;]*)`)

// GrubSettings reads the settings of /etc/default/grub and of the files after it. They
// are assignments of a shell, with variables in them. What else a shell would run in
// them stays in the values as it is, so that no option is overlooked.
//
//	GRUB_CMDLINE_LINUX_DEFAULT="quiet splash"
//	GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX console=ttyS0"
func GrubSettings(files []File) map[string]string {
	set := map[string]string{}
	for _, f := range files {
		for line := range strings.Lines(strings.ReplaceAll(f.Text, "\\\n", "")) {
			m := grubAssignment.Get().FindStringSubmatch(strings.TrimSuffix(line, "\n"))
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
