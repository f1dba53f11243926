// Package slips finds what asks for huge pages at boot and does not do what it looks like: on
// the kernel's command line, in fstab, in mount units and in sysctl's files. It changes nothing.
package slips

import "vmhuge/hostprep/host"

// Place is where a slip is.
type Place string

// The places of slips.
const (
	Cmdline   Place = "command line"
	Fstab     Place = "fstab"
	MountUnit Place = "mount unit"
	Sysctl    Place = "sysctl"
	Tuned     Place = "tuned"
	Script    Place = "pool" // a unit or a script that sets one
)

// Slip is a word in a file or on the kernel's command line that asks for huge
// pages and does not do what it looks like.
type Slip struct {
	Where string // the file and line: /etc/fstab:4; "": the kernel's command line, from a file that is not known
	Word  string // as it stands there
	Why   string // what the kernel makes of it: a clause that follows the word
	Right string // the right spelling; "": to leave it out
	Works bool   // it does what it looks like all the same
	In    Place
	After string // what has to be run after a correction for the next boot; "": nothing
	Unit  string // of systemd, by its right name, that mounts what the slip is about
	moves bool   // Right is another file for the line
	early bool   // it is a count before its hugepagesz=
}

// InFiles finds the lines of fstab, of mount units and of sysctl's files that ask
// for huge pages in vain.
func InFiles(h host.Host) ([]Slip, error) {
	var all []Slip
	for _, look := range []func(host.Host) ([]Slip, error){fstabSlips, mountUnitSlips, dropInSlips, sysctlSlips, unreadSettings, overriddenSlips} {
		slips, err := look(h)
		if err != nil {
			return all, err
		}
		all = append(all, slips...)
	}
	return all, fitSettings(h, all)
}
