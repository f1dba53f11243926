package main

import (
	"strconv"
	"strings"
	"unicode"

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
	if c.IsSet("on-demand") {
		want.OnDemand, err = onDemand(c)
		if err != nil {
			return want, err
		}
	}
	if c.IsSet("free-vmemmap") {
		if !c.Bool("persist") {
			return want, usage("--free-vmemmap needs --persist: it is an option of the kernel's command line")
		}
		free := c.Bool("free-vmemmap")
		want.FreeStructs = &free
	}
	if c.IsSet("demote") {
		want.Demote, err = p.demote(c)
		return want, err
	}
	if !c.IsSet("pages") {
		if c.IsSet("size") && want.OnDemand == nil || c.IsSet("node") || c.IsSet("for") {
			return want, usage("--size, --node and --for need --pages")
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
	if want.Overcommit {
		flag := "--pages"
		if c.IsSet("for") {
			flag = "--for"
		}
		return want, usage("%s reserves pages, and --overcommit reserves none", flag)
	}
	want.Pages = []pool.Need{need}
	if c.IsSet("for") {
		want.For = c.String("for")
		if want.For == "" || len(want.For) > 64 || strings.ContainsFunc(want.For, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return want, usage("--for needs the name of a program, of at most 64 printable characters")
		}
	}
	return want, nil
}

// onDemand reads --on-demand: 16G, or 8G@0,8G@1; 0: no area.
func onDemand(c *cli.Context) ([]prepare.Area, error) {
	areas := []prepare.Area{}
	if !c.Bool("persist") {
		return nil, usage("--on-demand needs --persist: the kernel sets the memory aside when it boots")
	}
	if size, err := pages.ParseSize(c.String("size")); c.IsSet("size") && !c.IsSet("pages") && (err != nil || size != pages.Size1GiB) {
		return nil, usage("--size %s: --on-demand is for pages of 1G", c.String("size"))
	}
	for _, word := range c.StringSlice("on-demand") {
		amount, node, named := strings.Cut(word, "@")
		area := prepare.Area{Node: -1}
		if named {
			id, err := strconv.ParseUint(node, 10, 31)
			if err != nil {
				return nil, usage("--on-demand %s: %s is not a node number", word, node)
			}
			area.Node = int(id)
		}
		bytes, err := pages.ParseBytes(amount)
		if err != nil || bytes%pages.GiB != 0 {
			return nil, usage("--on-demand %s: it must be whole GiB, such as 16G, or 8G@0 for node 0", word)
		}
		area.GiB = bytes / pages.GiB
		if area.GiB > 0 {
			areas = append(areas, area)
		}
	}
	return areas, nil
}
