package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

func (p *program) verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "show from the kernel's accounting which pages a running guest's RAM is on",
		ArgsUsage: "DOMAIN…",
		Action: func(c *cli.Context) error {
			return p.onNamed(c, func(l *launcher.Launcher, names []string) error {
				return each(p, names, func(name string) (verified, error) {
					r, err := l.Verify(name)
					v := verified{Name: r.Name, UUID: r.UUID, State: r.State}
					if r.Proof != nil {
						v.Proof = *r.Proof
					}
					return v, err
				}, p.showVerified, codeOfProof)
			})
		},
	}
}

// verified is the answer of verify for one domain.
type verified struct {
	Name  string         `json:"name"`
	UUID  string         `json:"uuid"`
	State launcher.State `json:"state"`
	hostprep.Proof
}

func codeOfProof(v verified) int {
	if v.Verdict == hostprep.AllHuge {
		return exitDone
	}
	return exitFailed
}

func (p *program) showVerified(v verified) {
	say := p.say
	if v.Verdict != hostprep.AllHuge {
		say = p.insist
	}
	say("%s: %s", oneLine(v.Name), proofWords(v.Proof))
	for _, size := range slices.Sorted(maps.Keys(v.HugetlbKiB)) {
		p.say("  %s on hugetlb pages of %s KiB", pages.FormatBytes(v.HugetlbKiB[size]*pages.KiB), size)
	}
	if v.THPKiB > 0 {
		p.say("  %s on transparent huge pages", pages.FormatBytes(v.THPKiB*pages.KiB))
	}
	if v.SmallKiB > 0 {
		p.say("  %s on small pages", pages.FormatBytes(v.SmallKiB*pages.KiB))
	}
	for _, node := range slices.Sorted(maps.Keys(v.ByNode)) {
		p.say("  node %s holds %s", node, pages.FormatBytes(v.ByNode[node]*pages.KiB))
	}
	p.say("  read from %s", strings.Join(v.Evidence, ", "))
}

// proofWords is a proof in a few words.
func proofWords(proof hostprep.Proof) string {
	ram := pages.FormatBytes(proof.RAMKiB * pages.KiB)
	switch proof.Verdict {
	case hostprep.AllHuge:
		return "all " + ram + " of its RAM on huge pages"
	case hostprep.Partly:
		return fmt.Sprintf("%.1f %% of its %s of RAM on huge pages", proof.BackedPercent, ram)
	}
	return "none of its " + ram + " of RAM on huge pages"
}
