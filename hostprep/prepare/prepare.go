// Package prepare makes a host fit for its guests, now and from boot on.
package prepare

import (
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
)

// Options is what a host shall be made ready for, once and, with Persist,
// for good.
type Options struct {
	Guests  []hostprep.Guest // that shall start
	Running []hostprep.Guest // that run, and shall have their pages after a reboot
	Persist bool             // also after a reboot
	Pages   []pool.Need      // that the pools shall have at least, whoever takes them
	Reserve int64            // bytes of ordinary memory that the host keeps; 0: the rule's

	// Overcommit lets the kernel make the guests' pages when they start, and
	// reserves none (nr_overcommit_hugepages).
	Overcommit bool
	// MountGroup is the group whose members may make files on the hugetlbfs
	// mounts; "": nobody asked.
	MountGroup string
	// User is whose plain QEMU and qemu:///session shall get pages; "": nobody's.
	User string
	// ShmGroup is the group whose members may map pages by shmget; "": nobody asked.
	ShmGroup string
	// DefaultHugepagesz asks that the size of the pages be the kernel's default.
	DefaultHugepagesz bool
}

// guests returns those that run and those that do not.
func (p Options) guests() []hostprep.Guest { return slices.Concat(p.Guests, p.Running) }

// Step is one part of a preparation. Like a check it never writes: what is to
// be changed is in its findings, and an error means that it could not tell.
// Findings without changes are for the user to act on.
type Step struct {
	Name string
	Plan func(host.Host, Options) ([]hostprep.Finding, error)
}

// Steps lists every step, in the order in which their changes are made.
func Steps() []Step {
	return []Step{
		mountsStep, groupsStep, foldersStep, appArmorStep, qemuConfStep, qemuKVMStep, userStep, shmGroupStep,
		thpStep, bootStep, notesStep,
	}
}

// Plan says what a host still lacks for a preparation. What the host can't hold
// is refused before all else, and nothing of it is begun.
func Plan(h host.Host, p Options) (findings []hostprep.Finding, possible bool) {
	all := []hostprep.Finding{}
	var planned []change.Change
	for _, step := range append([]Step{{"host", impossible}}, Steps()...) {
		findings, err := step.Plan(h, p)
		if err != nil {
			findings = append(findings, hostprep.CouldNotTell(err))
		}
		for _, f := range findings {
			f.Check = step.Name
			f.Do = strings.Replace(f.Do, hostprep.StartDoes, "vmhuge prepare does: ", 1)
			// What two findings need, such as a folder, is made for the first.
			lacks := slices.DeleteFunc(append([]change.Change{}, f.Changes...), func(c change.Change) bool { return slices.Contains(planned, c) })
			if f.Fixable && len(lacks) == 0 {
				continue
			}
			if f.Fixable {
				planned = append(planned, lacks...)
			}
			f.Changes = lacks
			all = append(all, f)
		}
		if step.Name == "host" && len(all) > 0 {
			return all, false
		}
	}
	return all, true
}
