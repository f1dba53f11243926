package main

import (
	"fmt"
	"strings"

	"vmhuge/hostprep/plan"
	"vmhuge/internal/pages"
)

func (p *program) showPlaced(answer placed) {
	if p.json {
		p.printJSON(answer)
		return
	}
	for _, u := range answer.Unreachable {
		p.complain(u.err)
	}
	missing := 0
	for _, g := range answer.Guests {
		switch {
		case g.Runs:
			p.say("%s: runs on %s", oneLine(g.Name), oneLine(g.Host))
		case g.Host != "":
			p.say("%s: on %s%s", oneLine(g.Name), oneLine(g.Host), takenWords(g.Takes))
		default:
			missing++
			p.insist("%s: fits on no host, needs %s", oneLine(g.Name), orNone(totalsWords(g.Totals)))
		}
		for _, r := range g.Refused {
			show := p.say
			if g.Host == "" {
				show = p.insist
			}
			show("  not on %s: %s", oneLine(hostsWords(r.Hosts)), oneLine(r.Why))
		}
	}
	if missing == 0 {
		p.say("all of them fit")
	} else {
		p.insist("%d of %d do not fit", missing, len(answer.Guests))
	}
	for _, g := range answer.Guests {
		for _, command := range g.Run {
			p.say("to run: %s", oneLine(command))
		}
	}
	for _, unseen := range answer.Unseen {
		p.say("not seen: %s", unseen)
	}
}

// takenWords says of which pools a guest takes pages.
func takenWords(takes []plan.Taken) string {
	var words []string
	for _, t := range takes {
		if t.Pages == 0 {
			continue
		}
		word := fmt.Sprintf("%s on node %d", pages.Count(t.Pages, t.Size), t.Node)
		if t.Added > 0 {
			word += fmt.Sprintf(" (%d added)", t.Added)
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		return ", on small pages"
	}
	return ", " + strings.Join(words, ", ")
}

// hostsWords names a few of many hosts.
func hostsWords(hosts []string) string {
	const few = 3
	if len(hosts) <= few+1 {
		return strings.Join(hosts, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(hosts[:few], ", "), len(hosts)-few)
}
