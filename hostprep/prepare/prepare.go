// Package prepare sets a host up for its guests, now and from boot on.
package prepare

import (
	"errors"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
)

// Options is what a host is set up for: until the next boot, or with Persist for good.
type Options struct {
	Guests  []hostprep.Guest // that shall start
	Running []hostprep.Guest // that run, and shall have their pages after a reboot
	Persist bool             // also after a reboot
	// Pages are those that the pools shall have at least, whoever takes them: with Persist
	// after a reboot too, whoever reserves them.
	Pages []pool.Need
	For   string // the program for which Pages are reserved: no guest may take them; "": none
	// Demote are free pages that are split into smaller ones until vmhuge undo; nil: none.
	Demote *pool.Need
	// OnDemand are the areas from which the kernel shall be able to allocate pages of 1 GiB
	// at any time, from the next boot on; nil: as they are.
	OnDemand []Area
	// FreeStructs has the kernel free the page structs of huge pages, from the next boot on
	// (hugetlb_free_vmemmap); nil: as it is.
	FreeStructs *bool
	Reserve     int64 // bytes of ordinary memory that the host keeps; 0: the rule's

	// Overcommit reserves no pages: the kernel allocates them when a guest starts
	// (nr_overcommit_hugepages).
	Overcommit bool
	// MountGroup is the group whose members may create files on the hugetlbfs mounts;
	// "": groups stay as they are.
	MountGroup string
	// User is the user whose plain QEMU and qemu:///session get pages; "": none.
	User string
	// ShmGroup is the group whose members may map pages with shmget; "": stays as it is.
	ShmGroup string
	// DefaultHugepagesz makes the size of the pages the kernel's default.
	DefaultHugepagesz bool
}

// Area is memory that the kernel keeps from boot on for pages of 1 GiB.
type Area = boot.Area

// guests returns those that run and those that do not.
func (p Options) guests() []hostprep.Guest { return slices.Concat(p.Guests, p.Running) }

// Step is one part of a preparation. Like a check it never writes: what is to
// be changed is in its findings, and an error means that it could not look.
// Findings without changes are for the user to act on.
type Step struct {
	Name string
	Plan func(host.Host, Options) ([]hostprep.Finding, error)
}

// Steps lists every step, in the order in which their changes are made.
func Steps() []Step {
	return []Step{
		mountsStep, groupsStep, foldersStep, appArmorStep, qemuConfStep, qemuKVMStep, userStep, shmGroupStep,
		thpStep, overcommitStep, bootStep, structsStep, beforeStep, notesStep,
	}
}

// Plan says what a host still lacks for a preparation. If the host can't have all of the
// pages, that is the only finding, and nothing is to be changed.
func Plan(h host.Host, p Options) (findings []hostprep.Finding, possible bool) {
	return plan(h, p, hostprep.Warning)
}

// plan is Plan, with the severity of what could not be looked at.
func plan(h host.Host, p Options, unread hostprep.Severity) (findings []hostprep.Finding, possible bool) {
	all := []hostprep.Finding{}
	var planned []change.Change
	for _, step := range append([]Step{{"host", impossible}}, Steps()...) {
		findings, err := step.Plan(h, p)
		if err != nil {
			f := hostprep.CouldNotTell(err)
			f.Severity = unread
			var held change.HeldError
			if errors.As(err, &held) {
				f = hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Have: held.Error() + ", so that vmhuge writes nothing there",
					Need: "a folder that vmhuge may write to", Do: "make the setting with the tool that manages what is there, or put a folder in its place"}
			}
			if step.Name == "host" { // nothing else is looked at
				f.Severity = hostprep.Blocker
			}
			findings = append(findings, f)
		}
		for _, f := range findings {
			f.Check = step.Name
			f.Do = strings.Replace(f.Do, hostprep.StartDoes, "vmhuge prepare does: ", 1)
			// A change that two findings need, such as a folder, belongs to the first.
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
