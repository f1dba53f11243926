package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/internal/pages"
	"vmhuge/picture"
)

func (p *program) planCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "find out whether guests fit on this host together",
		Category:  choosing,
		ArgsUsage: "[DOMAIN…]",
		UsageText: `  vmhuge plan
  vmhuge plan web1 db1 --host-reserve 8G
  vmhuge plan --file web1.xml db1.xml`,
		Description: `Simulates starting the guests in the given order, by the rules of vmhuge start. If
they do not all fit, it names the first that fails and the fewest to move to another
host. It prints the sysctl or kernel command line settings that reserve the pages of
those that fit. Without a name it takes every domain, in order of name. Changes
nothing.

FILES
  /proc/meminfo
  /sys/devices/system/node/
EXIT STATUS
  0  all of them fit
  1
  2
  4  not all of them fit`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "plan for every domain, as without a name"},
			fileFlag(),
			hostReserveFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.Bool("all") && (c.NArg() > 0 || c.Bool("file")) {
				return usage("--all cannot be combined with names or --file")
			}
			reserve, err := hostReserve(c)
			if err != nil {
				return err
			}
			return p.candidates(c, func(names []string, read func(string) (hostprep.Candidate, error)) error {
				var guests []hostprep.Candidate
				for _, name := range names {
					guest, err := read(name)
					if err != nil {
						return err
					}
					guests = append(guests, guest)
				}
				plan, err := p.host().Plan(guests, reserve)
				if err != nil {
					return err
				}
				p.showPlan(plan)
				if !plan.Fits {
					return answered(exitNoMemory)
				}
				return nil
			})
		},
	}
}

const reserveUsage = "`SIZE` memory the host keeps (default: 2G, plus 512M per 64G of RAM above 64G)"

func hostReserveFlag() cli.Flag {
	return &cli.StringFlag{Name: "host-reserve", Usage: reserveUsage}
}

// hostReserve is what the user asks the host to keep, in bytes; 0: nothing is
// said.
func hostReserve(c *cli.Context) (int64, error) {
	if !c.IsSet("host-reserve") {
		return 0, nil
	}
	reserve, err := pages.ParseBytes(c.String("host-reserve"))
	if err != nil {
		return 0, usage("--host-reserve: %s", err)
	}
	return reserve, nil
}

func (p *program) showPlan(plan hostprep.Plan) {
	if p.json {
		p.printJSON(plan)
		return
	}
	for _, g := range plan.Guests {
		p.showPlanned(g)
	}
	for _, n := range plan.Needs {
		p.say("needed: %d %s of %s%s", n.Pages, plural(n.Pages, "page"), n.PageSize, placeWords(n))
	}
	m := plan.Memory
	p.say("host: %s, of which it keeps %s; the pools may grow by %s, and by %s after this",
		picture.Size(m.TotalKiB), picture.Size(m.ReserveKiB), picture.Size(m.HeadroomKiB), picture.Size(m.LeftKiB))
	if plan.Fits {
		p.say("all of them fit")
	} else {
		p.insist("not all of them fit: %s is the first that does not", oneLine(plan.FirstFailure))
		for _, l := range plan.Lacks {
			where := "the host"
			if l.Node >= 0 {
				where = fmt.Sprintf("node %d", l.Node)
			}
			p.insist("%s lacks %s for all", where, picture.Size(l.KiB))
		}
		p.insist("without %s the others fit", oneLine(strings.Join(plan.Move, ", ")))
	}
	for _, s := range plan.Settings {
		p.say("to reserve what fits (%s): %s", settingWords[s.Kind], s.Text)
	}
	p.showOvercommit(m)
	p.drawNodes(plan.Nodes)
}

var settingWords = map[string]string{"kernel": "kernel command line", "sysctl": "sysctl", "command": "at boot"}

func (p *program) showPlanned(g hostprep.PlannedGuest) {
	takes := totalsWords(g.Totals)
	if g.PlainKiB > 0 {
		takes = strings.TrimPrefix(takes+", "+picture.Size(g.PlainKiB)+" on small pages", ", ")
	}
	takes += fmt.Sprintf(", and %s for QEMU", picture.Size(g.OverheadKiB))
	if g.LaterKiB > 0 {
		takes += fmt.Sprintf("; %s more when its virtio-mem devices are plugged", picture.Size(g.LaterKiB))
	}
	switch {
	case g.Runs:
		p.say("%s: runs, has %s", oneLine(g.Name), takes)
	case g.Fits:
		p.say("%s: fits, takes %s", oneLine(g.Name), takes)
	default:
		p.insist("%s: does not fit, wants %s", oneLine(g.Name), takes)
		p.insist("  %s", oneLine(g.Why))
	}
}

func placeWords(n hostprep.PlanNeed) string {
	switch n.Binding {
	case "strict":
		return " bound to node " + n.HostNodes
	case "cpuset":
		return " confined to node " + n.HostNodes
	}
	return " on any node"
}

// showOvercommit says what may be promised twice, and what not.
func (p *program) showOvercommit(m hostprep.PlanMemory) {
	p.say("guests' memory: %s of the host's %s, %d %%, and %s for QEMU", picture.Size(m.GuestsKiB), picture.Size(m.TotalKiB), percent(m.GuestsKiB, m.TotalKiB), picture.Size(m.OverheadKiB))
	if m.ReservedKiB > 0 {
		p.say("  %s on reserved pages: neither swap nor KSM gets at it, and what a balloon gives back%s stays in the pool", picture.Size(m.ReservedKiB), lostWords(m.BalloonLostKiB))
	}
	if m.PlainKiB > 0 {
		p.say("  %s on small pages: swap has %s free, KSM merges %s on this host now, balloons may take %s", picture.Size(m.PlainKiB), picture.Size(m.SwapFreeKiB), picture.Size(m.KSMKiB), picture.Size(m.BalloonKiB))
	}
	p.say("  swap: %s is there, %s is recommended", picture.Size(m.SwapKiB), picture.Size(m.SwapWantedKiB))
}

func lostWords(kib int64) string {
	if kib == 0 {
		return ""
	}
	return fmt.Sprintf(" (balloons: %s)", picture.Size(kib))
}

func percent(part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	return (part*100 + whole/2) / whole
}
