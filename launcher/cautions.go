package launcher

import (
	"vmhuge/hostprep"
	"vmhuge/hostprep/change"
	"vmhuge/xml"
)

// cautions are what in a domain's XML keeps its memory from being what it seems to
// say, as findings. libvirt takes such a document, so that none of them blocks.
func cautions(doc []byte) []hostprep.Finding {
	var findings []hostprep.Finding
	for _, c := range xml.Cautions(doc) {
		f := hostprep.Finding{Check: "xml", Severity: hostprep.Warning, Have: c.Text, Changes: []change.Change{}}
		if c.Unsure {
			f.Verdict, f.Cause = hostprep.Unknown, hostprep.BackendContradicts
		}
		findings = append(findings, f)
	}
	return findings
}
