package host

import (
	"cmp"
	"slices"
	"strings"
)

// Family is a group of distributions that have package manager and package names in common.
type Family string

const (
	UnknownFamily Family = ""
	Debian        Family = "debian"
	Fedora        Family = "fedora" // and RHEL
	SUSE          Family = "suse"
	Arch          Family = "arch"
)

// Distributions reads what the host's distribution is called, and then which ones it is like:
//
//	ID=ubuntu
//	ID_LIKE="debian"
//
// Source: os-release(5).
func (h Host) Distributions() ([]string, error) {
	text, err := h.ReadIfThere("/etc/os-release")
	if err == nil && text == "" { // on most systems a link to this
		text, err = h.ReadIfThere("/usr/lib/os-release")
	}
	values := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = strings.Trim(value, `"'`)
	}
	return strings.Fields(values["ID"] + " " + values["ID_LIKE"]), err
}

// NixOS says whether the host is one whose files are made from one configuration, and made anew
// whenever that changes.
func (h Host) NixOS() (bool, error) {
	if st, err := h.Lstat("/etc/NIXOS"); err != nil || st != nil {
		return st != nil, err
	}
	ids, err := h.Distributions()
	return slices.Contains(ids, "nixos"), err
}

// Family reads which family the host's distribution is of.
func (h Host) Family() (Family, error) {
	ids, err := h.Distributions()
	if err != nil {
		return UnknownFamily, err
	}
	for _, id := range ids {
		switch family := Family(id); {
		case slices.Contains([]Family{Debian, Fedora, SUSE, Arch}, family):
			return family, nil
		case id == "ubuntu":
			return Debian, nil
		case id == "rhel" || id == "centos":
			return Fedora, nil
		case strings.HasPrefix(id, "opensuse") || strings.HasPrefix(id, "sle"):
			return SUSE, nil
		}
	}
	return UnknownFamily, nil
}

// Package is a program's package by family; that of UnknownFamily is what the program is
// called, and the name of the package where a family has no entry.
type Package map[Family]string

// Install is the command that installs a package on a host; where its package manager is
// not known, words that name the program. A host whose files can't be read is such a one.
func Install(h Host, p Package) string {
	family, err := h.Family()
	if err != nil {
		family = UnknownFamily
	}
	command := map[Family]string{Debian: "apt-get install ", Fedora: "dnf install ", SUSE: "zypper install ", Arch: "pacman -S ", UnknownFamily: "install "}
	return command[family] + cmp.Or(p[family], p[UnknownFamily])
}
