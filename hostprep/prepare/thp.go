package prepare

import (
	"fmt"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

// tmpfilesFile makes systemd write settings of the kernel at boot (tmpfiles.d(5)).
const tmpfilesFile = "/etc/tmpfiles.d/vmhuge.conf"

// thpStep sets what guests on transparent huge pages need, and with Persist makes systemd
// set it at each boot.
var thpStep = Step{"thp", func(h host.Host, p Options) ([]hostprep.Finding, error) {
	i := slices.IndexFunc(p.guests(), func(g hostprep.Guest) bool { return g.Demand.Backing == pages.THP })
	if i < 0 {
		return nil, nil
	}
	findings, err := check.THP.Detect(h, p.guests()[i])
	if err != nil {
		return nil, err
	}
	findings = slices.DeleteFunc(findings, func(f hostprep.Finding) bool { return !f.Fixable })
	if !p.Persist {
		return findings, nil
	}
	for f := range findings {
		for c := range findings[f].Changes {
			findings[f].Changes[c].EachBoot = true
		}
	}
	thp, err := h.THP()
	if err != nil {
		return nil, err
	}
	enabled := thp.Enabled
	if enabled == "never" {
		enabled = "madvise"
	}
	setting := check.SetTHP(h, "enabled", "", enabled).Path
	if !h.BootedWithSystemd() {
		cmdline, err := h.ReadIfThere("/proc/cmdline")
		if err != nil || strings.Contains(cmdline, "transparent_hugepage="+enabled) {
			return findings, err
		}
		return append(findings, hostprep.Finding{Severity: hostprep.Warning, Have: "nothing sets transparent huge pages at boot", Need: "transparent_hugepage=" + enabled,
			Do: "add it to the kernel's command line"}), nil
	}
	line := fmt.Sprintf("w! %s - - - - %s", setting, enabled)
	if nixOS, err := h.NixOS(); err != nil {
		return findings, err
	} else if nixOS {
		there, err := h.ReadIfThere("/etc/tmpfiles.d/00-nixos.conf") // which has the rules
		if err != nil || strings.Contains(there, line) {
			return findings, err
		}
		return append(findings, *byHand(boot.ByHandError(boot.InNixOS(`systemd.tmpfiles.rules = [ "`+line+`" ];`)), "nothing sets transparent huge pages at boot")), nil
	}
	changes, err := change.FilePlan(h, tmpfilesFile, boot.Kept+line+"\n")
	if err != nil || len(changes) == 0 {
		return findings, err
	}
	return append(findings, hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.BadHost, Fixable: true, Changes: changes,
		Have: "nothing sets transparent huge pages at boot", Need: setting + " at " + enabled}), nil
}}
