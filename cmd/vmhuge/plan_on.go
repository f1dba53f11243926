package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"vmhuge/fleet"
	"vmhuge/hostprep"
	"vmhuge/hostprep/plan"
	"vmhuge/internal/pages"
)

// severalHosts says whether a plan is for several hosts, and refuses flags that are then
// missing or without effect.
func severalHosts(c *cli.Context) (bool, error) {
	several := len(c.StringSlice("on"))+len(c.StringSlice("facts")) > 0
	switch fit := plan.Fit(c.String("fit")); {
	case fit != plan.First && fit != plan.Best:
		return several, usage("--fit: %q is neither first nor best", fit)
	case !several && c.IsSet("fit"), !several && c.Bool("inventory"):
		return several, usage("--fit and --inventory need hosts: --on or --facts")
	case slices.Contains(c.StringSlice("on"), ""), slices.Contains(c.StringSlice("facts"), ""):
		return several, usage("--on or --facts is empty")
	}
	return several, nil
}

// placed is a placement as it is printed.
type placed struct {
	Fits   bool          `json:"fits"`
	Fit    plan.Fit      `json:"fit"`
	Guests []placedGuest `json:"guests"`
	Hosts  []plan.Filled `json:"hosts"`
	// Unreachable are hosts that could not be asked.
	Unreachable []unreachableHost `json:"unreachable"`
	Unseen      []string          `json:"unseen"`
}

type placedGuest struct {
	plan.Placed
	Run []string `json:"run"` // shell commands that bring it there
}

type unreachableHost struct {
	Host  string    `json:"host"`
	Error jsonError `json:"error"`
	err   error
}

// unseenThere is what a libvirt does not show of its host.
const unseenThere = "of the hosts asked over --on: how many of the free pages other programs there have reserved, what overcommit adds, and whether QEMU's user can access their hugetlbfs"

// planOn places guests on the hosts that the flags name. words are what the guests were
// called: with --file, files.
func (p *program) planOn(c *cli.Context, words []string, guests []hostprep.Candidate) error {
	if c.Bool("inventory") && p.json {
		return usage("--inventory and --json cannot be combined: an inventory is JSON")
	}
	hosts, answer, err := p.plannedHosts(c)
	if err != nil {
		return err
	}
	reserve, err := hostReserve(c)
	if err != nil {
		return err
	}
	var sites []plan.Site
	for _, host := range hosts {
		defer host.Close()
		if reserve > 0 {
			host.Site.Host.ReserveKiB = reserve / pages.KiB
		}
		sites = append(sites, host.Site)
	}
	placement := plan.Place(sites, guests, plan.Fit(c.String("fit")))
	if c.Bool("inventory") {
		inventory, err := fleet.Inventory(placement, hosts)
		if err != nil {
			return err
		}
		text, err := marshal(inventory)
		if err != nil {
			return err
		}
		for _, u := range answer.Unreachable {
			p.complain(u.err)
		}
		_, _ = p.stdout.Write(text)
		return answered(codeOfPlacement(placement))
	}
	answer.Fits, answer.Fit, answer.Hosts = placement.Fits, placement.Fit, placement.Hosts
	source := p.uri
	for i, g := range placement.Guests {
		guest := placedGuest{Placed: g}
		if at := slices.IndexFunc(hosts, func(h fleet.Host) bool { return h.Site.Name == g.Host }); at >= 0 && !g.Runs {
			file := ""
			if c.Bool("file") {
				file, source = words[i], ""
			}
			guest.Run = fleet.Steps(guests[i], file, source, hosts[at])
		}
		answer.Guests = append(answer.Guests, guest)
	}
	if len(c.StringSlice("on")) > 0 {
		answer.Unseen = []string{unseenThere}
	}
	p.showPlaced(answer)
	return answered(codeOfPlacement(placement))
}

func codeOfPlacement(placement plan.Placement) int {
	if placement.Fits {
		return exitDone
	}
	return exitNoMemory
}
