package main

import (
	"fmt"
	"slices"
	"strings"

	"vmhuge/hostprep/proof"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
	"vmhuge/live"
	"vmhuge/picture"
)

// lines is what there is to see.
func (s hostStatus) lines(style picture.Style) []string {
	lines := style.Pools(live.Pools(s.Pools))
	lines = append(lines, "")
	if len(s.Domains) > 0 {
		header, guests := style.Guests(guestPictures(s.Domains))
		lines = append(append(append(lines, header), guests...), "")
	}
	for _, m := range s.Mounts {
		lines = append(lines, fmt.Sprintf("mount  %s, pages of %s", m.Point, m.Size))
	}
	if line := areaLine(s.Status); line != "" {
		lines = append(lines, line)
	}
	lines = append(lines, "hook   "+s.Hook.String())
	for _, settled := range s.Settled {
		lines = append(lines, oneLine(settled.String()))
	}
	for _, left := range s.LeftBehind {
		lines = append(lines, oneLine(fmt.Sprintf("note   %s is gone: %s of its huge pages are still in the pools (vmhuge status frees those that nobody uses)", left.Name, pages.FormatBytes(left.Bytes))))
	}
	for _, r := range s.Reservations {
		lines = append(lines, oneLine("note   "+r.Title()+": "+r.Words()))
	}
	for _, f := range s.Notes {
		lines = append(lines, "note   "+oneLine(strings.TrimSuffix(f.Check+": "+f.Have+"; "+f.Do, "; ")))
	}
	for _, d := range s.Domains {
		if d.IfShort != 0 {
			lines = append(lines, "note   "+oneLine(d.Name+": vmhuge start puts it on "+d.IfShort.Words()+" if its pages are short"))
		}
		if d.AtLeast != 0 {
			lines = append(lines, "note   "+oneLine(d.Name+": "+atLeastWords(d.AtLeast)))
		}
		for _, caution := range d.Cautions {
			lines = append(lines, "note   "+oneLine(d.Name+": "+caution))
		}
	}
	return lines
}

// areaLine is about the area for pages of 1 GiB on demand; "": there is none.
func areaLine(s launcher.Status) string {
	if s.CMA == nil {
		return ""
	}
	return fmt.Sprintf("area   %s of CMA, of which %s is free (pages of 1 GiB on demand)", pages.FormatKiB(s.CMA.TotalKiB), pages.Amount(s.CMA.FreeKiB*pages.KiB))
}

// wrong is what is not as it should be, each in a line.
func (s hostStatus) wrong(root bool) []string {
	var lines []string
	if unknown := func(d launcher.DomainStatus) bool { return d.ProofUnknown != "" }; !root && slices.ContainsFunc(s.Domains, unknown) {
		lines = append(lines, "only root can see what backs the guests' RAM; run vmhuge as root")
	}
	for _, d := range s.Domains {
		switch {
		case d.ProofUnknown != "" && root:
			lines = append(lines, oneLine(d.Name+": "+d.ProofUnknown))
		case d.Proof != nil && d.Proof.Verdict != proof.AllHuge:
			lines = append(lines, oneLine(d.Name+": "+proofWords(*d.Proof)))
		}
	}
	for _, f := range s.Hook.Findings {
		lines = append(lines, findingWords(f))
	}
	for _, sentence := range s.SetAside {
		lines = append(lines, oneLine(sentence))
	}
	return lines
}

// guestPictures is what is drawn of guests: no terminal obeys their names.
func guestPictures(domains []launcher.DomainStatus) []picture.Guest {
	guests := live.Guests(domains)
	for i := range guests {
		guests[i].Name = oneLine(guests[i].Name)
	}
	return guests
}
