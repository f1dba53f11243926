package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"vmhuge/bench"
	"vmhuge/hostprep/host"
	"vmhuge/internal/pages"
)

func (p *program) benchCommand() *cli.Command {
	return &cli.Command{
		Name:     "bench",
		Usage:    "measure how much faster memory is on huge pages here",
		Category: choosing,
		UsageText: `  vmhuge bench
  vmhuge bench --size 2M --memory 4G --seconds 30`,
		Description: `Reads a buffer in random order, each read waiting for the previous one, with the
buffer on small pages, on transparent huge pages and on huge pages of each size. It
shows the best case: programs that read memory in order gain less. As root it
allocates the huge pages it needs and frees them again; other users measure only
what is free. It measures for 6 seconds, and fills the buffers before that.

FILES
  /sys/devices/system/node/
  /run/vmhuge/claims/
EXIT STATUS
  0  measured; what could not be measured is listed with the reason
  1
  2
  4  too little memory for the buffers`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "size", Usage: "`SIZE` measure this huge page size only (default: all that the kernel has)"},
			&cli.StringFlag{Name: "memory", Usage: "`SIZE` size of each buffer (default: 1G, less on hosts with little free memory)"},
			&cli.Float64Flag{Name: "seconds", Usage: "`N` seconds to measure, all kinds of pages together", Value: 6},
		},
		Action: func(c *cli.Context) error {
			if err := noNames(c); err != nil {
				return err
			}
			m, err := p.readBench(c)
			if err != nil {
				return err
			}
			if err := m.Run(c.Context, p.benchMeans()); err != nil {
				return err
			}
			if p.json {
				p.printJSON(*m)
				return nil
			}
			for i := range m.Results {
				p.say("%s", benchLine(m, p.style(p.stdout), i))
			}
			return nil
		},
	}
}

const benchName = "vmhuge bench" // of its claims

// readBench decides what is measured, and binds it to the node with most memory
// free.
func (p *program) readBench(c *cli.Context) (*bench.Measurement, error) {
	h := p.host()
	state, err := h.Pools()
	if err != nil {
		return nil, err
	}
	mem, err := h.Meminfo()
	if err != nil {
		return nil, err
	}
	nodes, err := h.Nodes()
	if err != nil {
		return nil, err
	}
	thp, err := h.THPSize()
	if err != nil {
		return nil, err
	}
	o := bench.Options{Sizes: state.Sizes(), THP: thp, Available: mem.Available, Node: -1,
		Has: func(size pages.Size) bool { _, ok := state.Global(size); return ok }}
	if c.IsSet("size") {
		size, err := pages.ParseSize(c.String("size"))
		if err != nil {
			return nil, usage("--size: %s", err)
		}
		o.Sizes = []pages.Size{size}
	}
	if c.IsSet("memory") {
		o.Memory, err = pages.ParseBytes(c.String("memory"))
		switch {
		case err != nil:
			return nil, usage("--memory: %s", err)
		case o.Memory == 0 || o.Memory%int64(thp) != 0:
			return nil, usage("--memory: %s is not a multiple of %s", pages.FormatBytes(o.Memory), thp)
		}
	}
	seconds := c.Float64("seconds")
	if !(seconds > 0 && seconds <= 3600) {
		return nil, usage("--seconds must be above 0 and at most 3600, not %v", seconds)
	}
	o.Time = time.Duration(seconds * float64(time.Second))
	if len(nodes) > 1 {
		o.Node = slices.MaxFunc(nodes, func(a, b host.Node) int { return cmp.Compare(a.Free, b.Free) }).ID
		if bench.StayOn(h.Root, o.Node) != nil { // no CPU of it is ours
			o.Node = -1
		}
	}
	return bench.New(o)
}

func (p *program) benchMeans() bench.Means {
	return bench.Means{
		Hold: p.holdForBench,
		Step: func(step string) func() {
			report, clear := p.progress(benchName)
			report(step, 0, 0)
			return clear
		},
		THP: func() string { thp, _ := p.host().THP(); return thp.Enabled },
	}
}
