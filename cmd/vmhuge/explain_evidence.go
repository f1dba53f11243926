package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"vmhuge/explain"
	"vmhuge/hostprep"
	"vmhuge/hostprep/audit"
	"vmhuge/hostprep/hostpage"
	"vmhuge/hostprep/probe"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

// examined is what the host shows of the causes of one domain, or of no domain in particular.
type examined struct {
	domain string
	report launcher.Report // has no name where no check of a domain was made
	told   []string        // the checks that could tell, where no domain was checked
	why    error           // why something was not to be had
	causes []explain.Weighed[hostprep.Finding]
}

// examine asks the checks about the domain, and the logs for what was denied.
func (p *program) examine(matches []explain.Match, text, domain string) examined {
	e := examined{domain: domain}
	var names []string // of the checks that see these causes
	for _, m := range matches {
		names = append(names, m.Check)
	}
	if domain != "" && slices.ContainsFunc(names, func(name string) bool { return name != "" }) {
		e.report, e.why = p.checkNow(domain)
	}
	if e.report.Name == "" && !strings.HasSuffix(p.uri, "/session") {
		of, told, err := hostpage.CauseFindings(p.host(), pages.SizeOfKiB(explain.PageSizeIn(text)), names)
		e.report.Findings, e.told = append(e.report.Findings, of...), told
		e.why = cmp.Or(e.why, err)
	}
	if slices.ContainsFunc(matches, func(m explain.Match) bool {
		return slices.Contains(ofSecurityModules, hostprep.Cause(m.ID))
	}) {
		denied, err := audit.DeniedIn(p.host(), explain.Clean(text))
		if len(denied) == 0 {
			// A guest whose text has a path has no memfd: a denied one is of another guest.
			onFile := slices.ContainsFunc(matches, func(m explain.Match) bool { return m.Path != "" })
			denied, err = audit.Denied(p.host(), e.report.UUID, onFile, time.Now())
		}
		e.report.Findings = append(e.report.Findings, denied...)
		e.why = cmp.Or(e.why, err)
	}
	matches = p.deniedMeanwhile(&e, matches, text)
	e.causes = explain.Weigh(matches, e.report.Findings, func(f hostprep.Finding) (string, bool) {
		return string(f.Cause), f.Severity != hostprep.Note
	}, e.refutes)
	for _, w := range e.causes {
		for i := range w.Evidence {
			if w.Platform() != "" && explain.OfDomain(w.Evidence[i].Do) {
				w.Evidence[i].Do = "" // the platform starts the domain, and makes it anew
			}
			w.Evidence[i].Do = explain.Named(w.Evidence[i].Do, domain)
		}
	}
	return e
}

// seen says that one of the causes is there now.
func (e examined) seen() bool {
	return slices.ContainsFunc(e.causes, func(w explain.Weighed[hostprep.Finding]) bool { return w.Seen })
}

// byHost are the causes that the host tells without a domain; byDomain those that the checks
// of a domain tell as well. Of others a check sees a part only, and what it does not see may be.
var (
	byHost = []hostprep.Cause{
		hostprep.KVMMissing, hostprep.KVMPermission, hostprep.KVMHPage, hostprep.PageSizeMissing, hostprep.MountMissing, hostprep.MountLate,
		hostprep.ConfRefused, hostprep.ConfEmptyMount,
	}
	byDomain = append([]hostprep.Cause{
		hostprep.LockedMemory, hostprep.NumadMissing, hostprep.NodeMissing, hostprep.NodeWithoutCPUs, hostprep.EmulatorPin,
		hostprep.SmallerThanPage, hostprep.Unaligned, hostprep.BindingsContradict, hostprep.OverMounted, hostprep.MountVanished,
		hostprep.MountReadOnly, hostprep.MountInodes, hostprep.MountFull, hostprep.MinSize, hostprep.SessionMount, hostprep.FolderMode,
		hostprep.FolderStale, hostprep.PoolShort, hostprep.NodeShort, hostprep.CgroupReserved, hostprep.CgroupUsed, hostprep.RAMShort,
	}, byHost...)
)

// ofSecurityModules are the causes of which the logs have what was denied.
var ofSecurityModules = []hostprep.Cause{hostprep.SecurityModule, hostprep.AppArmorNUMA, hostprep.AppArmorMemfd}

// refutes says that the check which sees a cause could tell, and has not seen it.
func (e examined) refutes(m explain.Match) bool {
	id := hostprep.Cause(m.ID)
	if e.report.Name == "" {
		return slices.Contains(byHost, id) && slices.Contains(e.told, m.Check)
	}
	switch e.report.Verdict {
	case hostprep.Running, hostprep.BadDomain: // the host was not asked
		return false
	}
	return slices.Contains(byDomain, id) && !slices.ContainsFunc(e.report.Findings, func(f hostprep.Finding) bool {
		return f.Verdict == hostprep.Unknown && (f.Check == m.Check || f.Check == "host" || f.Check == "managed-save")
	}) && e.report.Verdict != ""
}

func (p *program) checkNow(domain string) (launcher.Report, error) {
	prober := probe.NewProber(p.host())
	defer prober.Close()
	l, err := p.connect()
	if err != nil {
		return launcher.Report{}, err
	}
	defer l.Close()
	l.Probe = prober
	return l.Check(domain)
}

// fact is a line about the host.
type fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// factsFor returns the lines about the host that the causes are about, where no
// domain is known that a check could be asked about.
func (p *program) factsFor(matches []explain.Match) []fact {
	var facts []fact
	for _, f := range hostpage.Facts(p.host(), hostpage.Libvirt{}) {
		if slices.ContainsFunc(matches, func(m explain.Match) bool { return f.About(m.Check) }) {
			facts = append(facts, fact{f.Name, f.Value})
		}
	}
	return facts
}
