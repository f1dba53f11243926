package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// demote reads --demote, --size and --node.
func (p *program) demote(c *cli.Context) (*pool.Need, error) {
	for _, other := range []string{"persist", "pages", "for", "on-demand", "free-vmemmap", "overcommit", "mount-group", "user", "shm-group", "default-hugepagesz"} {
		if c.IsSet(other) {
			return nil, usage("--demote and --%s: give one of them at a time", other)
		}
	}
	if c.NArg() > 0 {
		return nil, usage("--demote splits pages for any guest or program: name no domain")
	}
	need := &pool.Need{Pages: c.Int64("demote")}
	if need.Pages < 1 || c.IsSet("node") && c.Int("node") < 0 {
		return nil, usage("--demote needs a number of pages above 0, and --node one of 0 or more")
	}
	if c.IsSet("node") {
		need.Nodes = []int{c.Int("node")}
	}
	if c.IsSet("size") {
		var err error
		need.Size, err = pages.ParseSize(c.String("size"))
		if err != nil {
			return nil, usage("--size: %s", err)
		}
		return need, nil
	}
	state, err := p.host().Pools()
	if sizes := state.Sizes(); len(sizes) > 0 {
		need.Size = slices.Max(sizes)
	}
	return need, err
}
