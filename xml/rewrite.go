package xml

import (
	"cmp"
	"slices"

	"vmhuge/internal/pages"
)

// Backing is what a guest's memory shall be on.
type Backing struct {
	PageSize pages.Size // 0: the bare <hugepages/>, pages of the host's default size
	Usual    bool       // pages.Usual instead of PageSize
	Keep     bool       // leave page sizes that the document states; a bare <hugepages/> gets PageSize
	Source   string     // file, memfd; "": as it is
	Threads  int        // of the allocation; 0: as it is, -1: none
	Round    bool       // raise memory to a multiple of the page
	THP      bool       // transparent huge pages: none of PageSize, Keep, Source, For, IfShort and GrowthKiB
	// For is how long the guest's pages stay for it once it has ended; nil: as it is.
	For *pages.Keep
	// IfShort is what it is started on where the host has too few of its pages; nil: as it is.
	IfShort *pages.IfShort
	// GrowthKiB is by how much it may grow on pages that are reserved for that; nil: as it is.
	GrowthKiB *int64
	// AtLeast is how many percent of its RAM in use transparent huge pages must back once it has
	// started, with THP; 0: as they come, nil: as it is.
	AtLeast *float64
	// Ours says that the <hugepages> that stand there without a mark are of an
	// earlier Rewrite: Revert then need not bring them back.
	Ours bool
	// HostArch and Have are the architecture and the sizes of huge pages of the
	// kernel that the guest is for; "", nil: not known.
	HostArch string
	Have     []pages.Size
}

// Rewrite puts the guest on huge pages, and takes back what an earlier one has
// done for pages of the other sort, reserved or transparent. All bytes but those of the elements
// concerned stay, and Revert brings these back. It refuses what libvirt or QEMU
// would not start, and memory that does not fill its last page.
func Rewrite(doc []byte, want Backing) ([]byte, error) {
	d, err := parse(doc)
	if err != nil {
		return nil, err
	}
	if want.THP != d.wantsTHP() && (want.Ours || d.root.child("metadata").child(mark) != nil) {
		if doc, err = Revert(doc, want.Ours); err == nil {
			d, err = parse(doc)
		}
		if err != nil {
			return nil, err
		}
		want.Ours = false
	}
	dom := &d.domain
	if err := unknownValue(dom); err != nil {
		return nil, err
	}
	if !want.THP && d.protected() {
		return nil, refusal(dom, protectedGuest, "take out its <launchSecurity>, or leave it on small pages", "with <launchSecurity type='s390-pv'/> it can't be on reserved huge pages: QEMU does not let it enter protected mode")
	}
	if want.THP && d.guestMemfd() {
		return nil, refusal(dom, noCause, "leave it on small pages", "with <launchSecurity type='%s'/> its private memory is a guest_memfd, which gets no transparent huge pages, and what --thp allocates at start would stay beside it", d.security())
	}
	if want.Usual {
		want.PageSize = dom.usual(want.Have)
	}
	if err := want.exists(dom); err != nil {
		return nil, err
	}
	e := &editor{document: d, thp: want.THP, have: want.Have, formers: d.formers(want.Ours), policy: d.policy()}
	if want.For != nil {
		e.policy.keep = *want.For
	}
	if want.IfShort != nil {
		e.policy.ifShort = *want.IfShort
	}
	if want.GrowthKiB != nil {
		e.policy.growth = *want.GrowthKiB
	}
	if want.AtLeast != nil {
		e.policy.atLeast = *want.AtLeast
	}
	if want.THP {
		if err := e.backTHP(want.Threads); err != nil {
			return nil, err
		}
	} else {
		e.back(want)
	}
	if want.Round {
		if err := e.round(); err != nil {
			return nil, err
		}
	}
	if e.blob() && source(dom) != "memfd" {
		return nil, refusal(dom, hugepagesSource, "take reserved pages with --source memfd, or its blob='on' out", "its <video> with blob='on' needs <source type='memfd'/>")
	}
	found, err := backends(dom, 0)
	if err != nil {
		return nil, err
	}
	for _, b := range found {
		if err := b.refused(dom, true); err != nil {
			return nil, err
		}
	}
	if err := want.smaller(dom, found); err != nil {
		return nil, err
	}
	if want.GrowthKiB != nil {
		if err := e.mayGrow(found, *want.GrowthKiB); err != nil {
			return nil, err
		}
	}
	out := doc
	if len(e.edits) > 0 || want.THP != d.wantsTHP() || e.policy != d.policy() {
		e.writeMark()
		out = e.bytes()
	}
	if want.THP && e.policy.atLeast > 0 {
		if err := e.policy.mayHave(out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// exists refuses pages of a size that no kernel of the guest's host has, or, where the host is
// this one, its own has not.
func (want Backing) exists(dom *domain) error {
	arch := cmp.Or(dom.hostArch(), want.HostArch)
	switch sizes := pages.HugeSizes(arch, dom.kvm()); {
	case want.PageSize == 0 || slices.Contains(want.Have, want.PageSize):
		return nil
	case slices.Contains(sizes, want.PageSize) && (want.Usual || len(want.Have) == 0 || !pages.SameKernel(arch, want.HostArch)):
		return nil
	case slices.Contains(sizes, want.PageSize):
		return refusal(dom, pageSizeMissing, "take "+pages.Usual(arch, want.Have).String()+", which vmhuge enable does without --size",
			"this host's kernel has no huge pages of %s, only of %s", want.PageSize, pages.JoinSizes(want.Have))
	case pages.Plain(arch, want.PageSize):
		return refusal(dom, noCause, "take larger ones, such as --size "+pages.SizeWord(pages.Usual(arch, want.Have)), "pages of %s are not huge", want.PageSize)
	}
	why, _ := noSize(arch, dom.kvm(), want.PageSize)
	return refusal(dom, pageSizeMissing, takeOne(arch, dom.kvm()), "%s", why)
}

// smaller refuses a policy on shortage that never comes into play: pages that no kernel of
// the guest's host has, or none of the guest's is larger than.
func (want Backing) smaller(dom *domain, found []backend) error {
	if want.IfShort == nil || *want.IfShort <= 0 {
		return nil
	}
	want.PageSize = pages.Size(*want.IfShort)
	if err := want.exists(dom); err != nil {
		return err
	}
	if !slices.ContainsFunc(found, func(b backend) bool { return b.page == 0 || b.page > want.PageSize }) {
		return refusal(dom, noCause, "--if-short takes smaller pages than these, or thp", "it has no pages larger than %s", want.PageSize)
	}
	return nil
}

// Revert takes out what Rewrite put in and brings back what that replaced; what
// was added or changed since stays. ours: <hugepages> in a document without a
// mark is Rewrite's, as of a version that wrote none; else it is the user's.
func Revert(doc []byte, ours bool) ([]byte, error) {
	d, err := parse(doc)
	if err != nil {
		return nil, err
	}
	e := &editor{document: d, formers: d.formers(ours)}
	e.restoreBacking()
	e.restoreMemAccess()
	e.restoreMemory()
	marked := d.root.child("metadata").child(mark)
	if marked != nil {
		e.fill("metadata", []change{{el: marked}})
	}
	if len(e.edits) == 0 {
		return doc, nil
	}
	out := e.bytes()
	if _, err := parse(out); marked != nil && err != nil {
		return nil, refusal(&d.domain, noCause, "", "what vmhuge noted in <metadata> does not fit in any more: %v", err)
	}
	return out, nil
}
