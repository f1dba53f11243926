package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/fleet"
	"vmhuge/launcher"
	"vmhuge/picture"
)

// hostsAnswer is the status of several hosts, as their libvirt shows them.
type hostsAnswer struct {
	Hosts       []launcher.DestStatus `json:"hosts"`
	Unreachable []unreachableHost     `json:"unreachable"` // hosts that could not be asked
	Unseen      []string              `json:"unseen"`
}

// unseenOnHosts is what a libvirt does not show of its host.
const unseenOnHosts = "which of the free pages are reserved, which vmhuge added, and what backs the RAM of running guests"

// statusOfHosts shows several hosts. One that can't be asked is named, and hides no other.
func (p *program) statusOfHosts(c *cli.Context, names []string) error {
	switch {
	case c.Bool("watch"):
		return usage("--watch follows one host, not %d", len(p.uris))
	case len(names) > 0:
		return usage("with several hosts all domains are shown; leave out %s", oneLine(names[0]))
	}
	report, clear := p.progress("the hosts")
	report("asking", 0, 0)
	answers, errs := fleet.Ask(p.uris, (*launcher.Dest).Status)
	clear()
	answer := hostsAnswer{Hosts: []launcher.DestStatus{}, Unreachable: []unreachableHost{}, Unseen: []string{unseenOnHosts}}
	for i, err := range errs {
		if err == nil {
			answer.Hosts = append(answer.Hosts, answers[i])
		} else {
			answer.Unreachable = append(answer.Unreachable, unreachableHost{p.uris[i], errorOf(err), err})
		}
	}
	p.showHosts(answer)
	if len(answer.Unreachable) > 0 {
		return answered(exitFailed)
	}
	return nil
}

func (p *program) showHosts(answer hostsAnswer) {
	if p.json {
		p.printJSON(answer)
		return
	}
	style := p.style(p.stdout)
	for _, h := range answer.Hosts {
		var pools []picture.Pool
		for _, pool := range h.Pools {
			pools = append(pools, picture.Pool{Node: pool.Node, Size: pool.Size, Total: pool.Total, Free: pool.Free, Reserved: -1, Ours: -1, CouldMake: -1})
		}
		p.say("%s", style.Rule(oneLine(h.Host)))
		for _, line := range style.Pools(pools) {
			p.say("%s", line)
		}
		if header, guests := style.Guests(guestPictures(h.Domains)); len(guests) > 0 {
			p.say("\n%s", header)
			for _, line := range guests {
				p.say("%s", line)
			}
		}
		p.say("")
	}
	for _, u := range answer.Unreachable {
		p.complain(u.err)
	}
	if len(answer.Hosts) > 0 {
		p.say("not seen: %s", answer.Unseen[0])
	}
}
