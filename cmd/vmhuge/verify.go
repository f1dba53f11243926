package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/proof"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

func (p *program) verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "prove which pages back a running guest's RAM",
		Category:  watching,
		ArgsUsage: "DOMAIN…",
		UsageText: `  vmhuge verify web1
  vmhuge verify web1 --wait --timeout 10m
  vmhuge verify web1 --json | jq '.domains[0].backed_percent'`,
		Description: `Reads from the kernel's accounting of the QEMU process how much of the guest's RAM is
on huge pages, of which size and on which NUMA node. Pages that are reserved but not
used yet are counted separately. It also says whether the RAM is aligned: only if
guest and host addresses agree modulo the page size can KVM map it with huge pages.

FILES
  /proc/PID/smaps
  /proc/PID/numa_maps
EXIT STATUS
  0  all of the RAM is on the pages that the XML asks for
  1  some of it is not, or the guest is not running
  2`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "wait", Usage: "wait while the kernel turns small pages into huge ones, showing progress"},
			&cli.StringFlag{Name: "timeout", Usage: "`TIME` how long --wait waits, such as 90s or 5m", Value: "60s"},
		},
		Action: func(c *cli.Context) error {
			timeout, err := parseTime("timeout", c.String("timeout"))
			if err != nil {
				return err
			}
			if c.IsSet("timeout") && !c.Bool("wait") {
				return usage("--timeout needs --wait")
			}
			return p.onNamed(c, func(l *launcher.Launcher, names []string) error {
				verify := l.Verify
				if c.Bool("wait") {
					verify = func(name string) (launcher.Report, error) {
						return l.Wait(c.Context, name, timeout, func(r launcher.Report) {
							p.say("%s: %s …", oneLine(r.Name), proofWords(*r.Proof))
						})
					}
				}
				return each(p, names, func(name string) (verified, error) {
					r, err := verify(name)
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
	proof.Proof
}

func codeOfProof(v verified) int {
	if v.Verdict == proof.AllHuge {
		return exitDone
	}
	return exitFailed
}

func (p *program) showVerified(v verified) {
	say := p.say
	if v.Verdict != proof.AllHuge {
		say = p.insist
	}
	say("%s: %s", oneLine(v.Name), proofWords(v.Proof))
	for _, size := range slices.Sorted(maps.Keys(v.HugetlbKiB)) {
		p.say("  %s on hugetlb pages of %s KiB", pages.FormatKiB(v.HugetlbKiB[size]), size)
	}
	if v.THPKiB > 0 {
		p.say("  %s on transparent huge pages", pages.FormatKiB(v.THPKiB))
	}
	if v.ReservedKiB > 0 {
		p.say("  %s on hugetlb pages that are reserved and not used yet", pages.FormatKiB(v.ReservedKiB))
	}
	if small := v.SmallKiB - v.UntouchedKiB; small > 0 {
		p.say("  %s on small pages", pages.FormatKiB(small))
	}
	if v.UntouchedKiB > 0 {
		p.say("  %s not touched yet", pages.FormatKiB(v.UntouchedKiB))
	}
	for _, node := range slices.Sorted(maps.Keys(v.ByNode)) {
		p.say("  node %s holds %s", node, pages.FormatKiB(v.ByNode[node]))
	}
	for _, part := range v.Parts {
		if !part.Aligned {
			p.say("  not aligned: %s of RAM starts at %s, so that huge pages of guest and host do not coincide", pages.FormatKiB(part.KiB), part.Address)
		}
	}
	if v.KVM != nil {
		p.say("  KVM has mapped %d pages of 4 KiB, %d of 2 MiB, %d of 1 GiB", v.KVM.Small, v.KVM.Huge, v.KVM.Giant)
	} else if v.KVMUnknown != "" {
		p.say("  KVM's pages: %s", v.KVMUnknown)
	}
	p.say("  read from %s", strings.Join(v.Evidence, ", "))
}
