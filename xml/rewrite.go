package xml

import "vmhuge/internal/pages"

// Backing is what a guest's memory shall lie on.
type Backing struct {
	PageSize pages.Size // 0: the bare <hugepages/>, pages of the host's default size
	Keep     bool       // leave page sizes that the document states; a bare <hugepages/> gets PageSize
	Source   string     // file, memfd; "": as it is
	Threads  int        // of the allocation; 0: as it is, -1: none
	Round    bool       // raise memory to a multiple of the page
	THP      bool       // transparent huge pages: none of PageSize, Keep and Source
	// Ours says that the <hugepages> that stand there without a mark are of an
	// earlier Rewrite: Revert then need not bring them back.
	Ours bool
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
		if doc, err = Revert(doc); err == nil {
			d, err = parse(doc)
		}
		if err != nil {
			return nil, err
		}
		want.Ours = false
	}
	dom := &d.domain
	if want.PageSize != 0 && want.PageSize <= smallPage {
		return nil, refusal(dom, noCause, "take 2M or 1G", "pages of %s are not huge", want.PageSize)
	}
	e := &editor{document: d, thp: want.THP, formers: d.formers(want.Ours)}
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
	found, err := backends(dom, 0)
	if err != nil {
		return nil, err
	}
	for _, b := range found {
		if err := b.refused(dom, true); err != nil {
			return nil, err
		}
	}
	if len(e.edits) == 0 && want.THP == d.wantsTHP() {
		return doc, nil
	}
	e.writeMark()
	return e.bytes(), nil
}

// Revert takes out what Rewrite put in and brings back what that replaced; what
// was added or changed since stays. Without a mark it takes <hugepages> for
// Rewrite's: whether it is, is for the caller to know.
func Revert(doc []byte) ([]byte, error) {
	d, err := parse(doc)
	if err != nil {
		return nil, err
	}
	e := &editor{document: d, formers: d.formers(true)}
	e.restoreBacking()
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
