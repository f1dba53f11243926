package xml

import (
	"fmt"
	"slices"
	"strings"

	"vmhuge/internal/pages"
)

// Want is a Backing of which the user leaves something to vmhuge.
type Want struct {
	Backing
	Auto        bool // pages of 1 GiB where the host has them and the guest fits, which the caller knows
	AutoThreads bool
	CPUs        int // of the host, for AutoThreads; 0: not known
}

// Rewrite is Rewrite with what is wanted. Pages that are still Auto are of the usual size,
// and without a number of CPUs the threads are as many as QEMU ever uses.
func (want Want) Rewrite(doc []byte) ([]byte, error) {
	backing := want.Backing
	backing.Usual = backing.Usual || want.Auto
	out, err := Rewrite(doc, backing)
	if err != nil || !want.AutoThreads {
		return out, err
	}
	demand, err := Demand(out, 0)
	if err != nil {
		return nil, err
	}
	backing.Threads = demand.PreallocThreads(want.CPUs)
	return Rewrite(doc, backing)
}

// Notes says what of a document that it has rewritten the user may not expect.
func (want Want) Notes(before, after []byte) []string {
	notes := append(CautionTexts(after), want.thpCosts(before, after)...)
	if ended := ended(before, after); ended != "" {
		notes = append(notes, ended)
	}
	if guess := want.guessed(before, after); guess != "" {
		notes = append(notes, guess)
	}
	return notes
}

// ended says which options of an earlier enable have ended with the pages that they were for; "":
// none.
func ended(before, after []byte) string {
	was, err := parseOnce(before)
	if err != nil {
		return ""
	}
	is, err := parseOnce(after)
	if err != nil || was.wantsTHP() == is.wantsTHP() {
		return ""
	}
	pagesWere, had, has := "reserved", was.policy(), is.policy()
	if was.wantsTHP() {
		pagesWere = "transparent huge"
	}
	var options []string
	add := func(ends bool, option string) {
		if ends {
			options = append(options, option)
		}
	}
	add(had.keep != 0 && has.keep == 0, "--keep "+had.keep.String())
	add(had.ifShort != 0 && has.ifShort == 0, "--if-short "+had.ifShort.String())
	add(had.growth != 0 && has.growth == 0, "--reserve-growth "+pages.FormatKiB(had.growth))
	add(had.atLeast != 0 && has.atLeast == 0, fmt.Sprintf("--at-least %g%%", had.atLeast))
	ours := slices.ContainsFunc(was.formers(false), func(f former) bool { return f.At == "allocation" })
	add(ours && was.threads() > 0 && is.threads() == 0, fmt.Sprintf("--threads %d", was.threads()))
	if len(options) == 0 {
		return ""
	}
	last := len(options) - 1
	if last == 0 {
		return options[0] + " was for its " + pagesWere + " pages, and ends with these: name it again if it returns to such pages"
	}
	return strings.Join(options[:last], ", ") + " and " + options[last] + " were for its " + pagesWere + " pages, and end with these: name them again if it returns to such pages"
}

// threads is how many threads allocate the guest's memory; 0: it does not say.
func (d *document) threads() uint {
	if b := d.domain.MemoryBacking; b != nil && b.MemoryAllocation != nil {
		return b.MemoryAllocation.Threads
	}
	return 0
}

// guessed says which pages Rewrite has taken to be the usual ones of a kernel that is not
// known, where others of its architecture usually have larger ones; "": it has not.
func (want Want) guessed(before, after []byte) string {
	d, err := parseOnce(after)
	if err != nil || want.THP || want.Have != nil || !want.Usual && !want.Auto {
		return ""
	}
	all := pages.Usuals(d.domain.hostArch())
	takes := func(doc []byte) bool {
		demand, err := Demand(doc, 0)
		return err == nil && slices.ContainsFunc(demand.Items, func(i pages.Item) bool { return i.PageSize == all[0] })
	}
	if d.domain.hostArch() == "" || len(all) == 1 || takes(before) || !takes(after) {
		return ""
	}
	return fmt.Sprintf("pages of %s are what most %s kernels use, and those with %s %s: --size names the ones that the guest's host has",
		all[0], d.domain.arch(), pages.Apart(d.domain.hostArch()), strings.ReplaceAll(pages.JoinSizes(all[1:]), ", ", " or "))
}

// thpCosts says what the user may not expect of a document that is put on
// transparent huge pages.
func (want Want) thpCosts(before, after []byte) []string {
	was, _ := Demand(before, 0)
	is, err := Demand(after, 0)
	if err != nil || is.Backing != pages.THP {
		return nil
	}
	d, err := parseOnce(after)
	if err != nil {
		return nil // cannot be: Demand has read it
	}
	var costs []string
	say := func(why, reserved string) {
		if d.protected() {
			reserved = ""
		}
		costs = append(costs, why+reserved)
	}
	size := pages.SizeWord(d.domain.usual(want.Have))
	enable := "; vmhuge enable --size " + size
	if b := d.domain.MemoryBacking; b != nil && b.MemoryAllocation != nil && b.MemoryAllocation.Mode == "ondemand" {
		enable = "; without its <allocation mode='ondemand'/> (virsh edit) vmhuge enable --size " + size
	}
	if d.domain.hostArch() == "s390x" {
		// s390_enable_sie() in the kernel's arch/s390/mm/gmap.c, from 3.7 on; 7.0 dropped that
		say("KVM on s390x before Linux 7.0 splits the transparent huge pages of a guest into small ones, and gives it no new ones", enable+" gives it reserved ones")
	}
	stay := sharedCells(&d.domain)
	mixed := len(stay) > 0 && len(stay) < len(d.domain.Cells)
	if mixed {
		say(fmt.Sprintf("only part of its memory gets transparent huge pages: cell %s is shared by its memAccess and stays so, in a file, where QEMU 7.2 aligns it to 4 KiB", joined(stay)), enable+" gives all of it reserved ones")
	}
	switch {
	case mixed && len(sharedBefore(before)) <= len(stay):
	case is.Shared && !mixed:
		say("its virtiofs, vhost-user or vhost-vdpa devices or cells share its memory, which therefore stays shared; QEMU 7.2 aligns that to 4 KiB, so that it gets no transparent huge pages", enable+" --source memfd gives it reserved ones")
	case was.Shared && mixed:
		say("its other memory was shared and is private now; no device in its XML needs it shared, but one that is added later may (virtiofs, vhost-user)", "")
	case was.Shared:
		say("its memory was shared and is private now, as only private memory gets transparent huge pages; no device in its XML needs it shared, but one that is added later may (virtiofs, vhost-user)", "")
	}
	return costs
}

// sharedBefore are the cells that a document has shared.
func sharedBefore(doc []byte) []int {
	d, err := parseOnce(doc)
	if err != nil {
		return nil
	}
	return sharedCells(&d.domain)
}

// joined lists numbers in a sentence.
func joined(numbers []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(numbers), "[]"), " ", " and ")
}
