package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/libvirtd"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/prepare"
	"vmhuge/internal/pages"
)

// preparation reads the flags.
func (p *program) preparation(c *cli.Context) (prepare.Options, error) {
	want := prepare.Options{Persist: c.Bool("persist"), Overcommit: c.Bool("overcommit"), User: c.String("user"),
		ShmGroup: c.String("shm-group"), DefaultHugepagesz: c.Bool("default-hugepagesz")}
	var err error
	want.Reserve, err = hostReserve(c)
	if err != nil {
		return want, err
	}
	if c.IsSet("mount-group") {
		want.MountGroup = c.String("mount-group")
		if want.MountGroup == "" {
			want.MountGroup, err = libvirtd.MountGroup(p.host())
			if err != nil {
				return want, err
			}
		}
	}
	if !c.IsSet("pages") {
		if c.IsSet("size") || c.IsSet("node") {
			return want, usage("--size and --node need --pages")
		}
		return want, nil
	}
	need := pool.Need{Pages: c.Int64("pages")}
	if c.IsSet("size") {
		need.Size, err = pages.ParseSize(c.String("size"))
		if err != nil {
			return want, usage("--size: %s", err)
		}
	} else if mem, err := p.host().Meminfo(); err != nil {
		return want, err
	} else {
		need.Size = mem.HugePageSize
	}
	if c.IsSet("node") {
		need.Nodes = []int{c.Int("node")}
	}
	if need.Pages < 0 || (c.IsSet("node") && need.Nodes[0] < 0) {
		return want, usage("--pages and --node cannot be negative")
	}
	want.Pages = []pool.Need{need}
	return want, nil
}
