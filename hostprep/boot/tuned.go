package boot

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/sysctl"
)

// tunedDirs have tuned's profiles, a folder each; of two of one name the first counts.
var tunedDirs = []string{"/etc/tuned/profiles", "/etc/tuned", "/usr/lib/tuned/profiles", "/usr/lib/tuned"}

// tuned lists what the profile that tuned applies at boot sets of huge pages by sysctl.
// overrides says that it stays so: by default tuned then makes the settings of /run/sysctl.d,
// /etc/sysctl.d and /etc/sysctl.conf again.
//
// Source: tuned.conf(5), tuned-main.conf(5) on reapply_sysctl.
func tuned(h host.Host) (settings []Setting, overrides bool, err error) {
	settings, overrides, err = tunedSettings(h)
	return slices.DeleteFunc(settings, func(s Setting) bool { return strings.HasPrefix(s.Name, inBootloader) }), overrides, err
}

// tunedSettings is tuned with the settings of the section [bootloader] as well.
func tunedSettings(h host.Host) (settings []Setting, overrides bool, err error) {
	active, err := h.ReadIfThere("/etc/tuned/active_profile")
	if err != nil || active == "" {
		return nil, false, err
	}
	if enabled, err := h.EnabledUnits(); err != nil || !enabled["tuned.service"] {
		return nil, false, err
	}
	seen := map[string]bool{}
	for _, profile := range strings.Fields(active) {
		of, err := tunedProfile(h, profile, seen)
		if err != nil {
			return nil, false, err
		}
		settings = append(settings, of...)
	}
	main, err := h.ReadIfThere("/etc/tuned/tuned-main.conf")
	for line := range strings.Lines(main) {
		if name, value, ok := sysctl.Parse(line); ok && name == "reapply_sysctl" {
			overrides = !isTrue(value)
		}
	}
	return settings, overrides, err
}

// tunedProfile lists a profile's settings, after those of the profiles that it includes:
//
//	[main]
//	include=throughput-performance
//	[sysctl]
//	vm.nr_hugepages=512
func tunedProfile(h host.Host, profile string, seen map[string]bool) (settings []Setting, err error) {
	if seen[profile] || profile != path.Base(profile) {
		return nil, nil
	}
	seen[profile] = true
	var file, text string
	for _, dir := range tunedDirs {
		file = path.Join(dir, profile, "tuned.conf")
		if text, err = h.ReadIfThere(file); err != nil || text != "" {
			break
		}
	}
	section := ""
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(strings.TrimSpace(line), "[]")
			continue
		}
		name, value, ok := sysctl.Parse(line)
		switch {
		case ok && section == "main" && name == "include":
			for _, base := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }) {
				of, err := tunedProfile(h, strings.TrimPrefix(base, "-"), seen)
				if err != nil {
					return nil, err
				}
				settings = append(settings, of...)
			}
		case ok && section == "bootloader":
			settings = append(settings, Setting{Where: fmt.Sprintf("%s:%d", file, i+1), Name: inBootloader + name, Value: value, Tuned: true})
		// What a variable of tuned's stands for is not known here.
		case ok && section == "sysctl" && (namesHugePages(name) || namesCommit(name)) && !strings.Contains(value, "$"):
			settings = append(settings, Setting{Where: fmt.Sprintf("%s:%d", file, i+1), Name: name, Value: value, Tuned: true})
		}
	}
	return settings, err
}
