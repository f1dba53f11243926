package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"vmhuge/bench"
	"vmhuge/hostprep"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/picture"
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
			if err := p.measure(c.Context, m); err != nil {
				return err
			}
			for i := range m.Results {
				p.say("%s", m.line(p.style(p.stdout), i))
			}
			if p.json {
				p.printJSON(map[string]any{"memory_bytes": m.Memory, "node": m.Node, "results": m.Results})
			}
			return nil
		},
	}
}

const benchName = "vmhuge bench" // of its claims

// measurement is one run of bench.
type measurement struct {
	Memory  int64 // of each buffer, in bytes
	Node    int   // where all is measured; -1: the host has but one
	Time    time.Duration
	Results []measured
}

// measured is what one kind of pages makes of an access.
type measured struct {
	Pages       bench.Kind `json:"pages"`
	PageSize    pages.Size `json:"page_size_kib"`
	Nanoseconds float64    `json:"ns_per_access"`    // 0: not measured
	Ratio       float64    `json:"times_as_fast"`    // as on small pages; 0: not known
	OnPages     float64    `json:"on_pages_percent"` // of the buffer, as the kernel says
	Reason      string     `json:"reason,omitempty"` // why it was not measured

	buffer   *bench.Buffer
	giveBack func() error // what was added to the pools for it
}

// readBench decides what is measured.
func (p *program) readBench(c *cli.Context) (*measurement, error) {
	host := p.host()
	state, err := host.Pools()
	if err != nil {
		return nil, err
	}
	mem, err := host.Meminfo()
	if err != nil {
		return nil, err
	}
	nodes, err := host.Nodes()
	if err != nil {
		return nil, err
	}
	sizes := state.Sizes()
	if c.IsSet("size") {
		size, err := pages.ParseSize(c.String("size"))
		if err != nil {
			return nil, usage("--size: %s", err)
		}
		sizes = []pages.Size{size}
	}
	kinds := int64(len(sizes) + 2)
	m := &measurement{Memory: min(pages.GiB, mem.Available/2/kinds) / int64(pages.Size2MiB) * int64(pages.Size2MiB), Node: -1}
	if c.IsSet("memory") {
		m.Memory, err = pages.ParseBytes(c.String("memory"))
		switch {
		case err != nil:
			return nil, usage("--memory: %s", err)
		case m.Memory == 0 || m.Memory%int64(pages.Size2MiB) != 0:
			return nil, usage("--memory: %s is not a multiple of 2 MiB", pages.FormatBytes(m.Memory))
		}
	}
	if m.Memory == 0 || m.Memory > mem.Available/2/kinds {
		return nil, &advice.Error{What: "measuring", Why: fmt.Sprintf("%d buffers would take more than half of the %d MiB that are available", kinds, mem.Available/pages.MiB),
			Do: "use a smaller --memory", Kind: advice.NoMemory}
	}
	seconds := c.Float64("seconds")
	if !(seconds > 0 && seconds <= 3600) {
		return nil, usage("--seconds must be above 0 and at most 3600, not %v", seconds)
	}
	if len(nodes) > 1 {
		m.Node = slices.MaxFunc(nodes, func(a, b hostprep.Node) int { return cmp.Compare(a.Free, b.Free) }).ID
		if bench.StayOn(host.Root, m.Node) != nil { // no CPU of it is ours
			m.Node = -1
		}
	}
	m.Results = []measured{{Pages: bench.Small, PageSize: pages.SizeOfKiB(int64(os.Getpagesize()) / pages.KiB)}, {Pages: bench.THP, PageSize: pages.Size2MiB}}
	for _, size := range sizes {
		m.Results = append(m.Results, measured{Pages: bench.Hugetlb, PageSize: size})
		if _, ok := state.Global(size); !ok {
			m.Results[len(m.Results)-1].Reason = "the kernel has no such pages"
		}
	}
	m.Time = time.Duration(seconds * float64(time.Second))
	return m, nil
}

// turn is how long one kind is measured before the next. Taking turns, all kinds
// meet the same weather: what else the host does slows down memory for seconds.
const turn = 100 * time.Millisecond

// measure gets all buffers, and measures them in turns.
func (p *program) measure(ctx context.Context, m *measurement) (err error) {
	defer func() {
		for _, r := range m.Results {
			if r.buffer != nil {
				r.buffer.Unmap()
			}
			if r.giveBack != nil {
				err = errors.Join(err, r.giveBack())
			}
		}
	}()
	for i := range m.Results {
		if err := p.ready(ctx, m, &m.Results[i]); err != nil {
			return err
		}
	}
	report, clear := p.progress(benchName)
	defer clear()
	report(fmt.Sprintf("measuring for %v", m.Time), 0, 0)
	for over := time.After(m.Time); ; {
		for i := range m.Results {
			r := &m.Results[i]
			if r.Reason != "" {
				continue
			}
			took, err := r.buffer.Access(ctx, turn)
			if err != nil {
				return interrupted()
			}
			if r.Nanoseconds == 0 || took < r.Nanoseconds {
				r.Nanoseconds = took
			}
			if small := m.Results[0].Nanoseconds; small > 0 {
				r.Ratio = small / r.Nanoseconds
			}
		}
		select {
		case <-over:
			return nil
		default:
		}
	}
}

func interrupted() error { return advice.New("measuring", "interrupted", "all pages were freed") }

// ready gets the buffer on one kind of pages. What keeps it from that is the
// result's reason; an error ends it all.
func (p *program) ready(ctx context.Context, m *measurement, r *measured) (err error) {
	if r.Reason != "" {
		return nil
	}
	if int64(r.PageSize) > m.Memory {
		r.Reason = "a page is larger than the buffer of " + pages.FormatBytes(m.Memory)
		return nil
	}
	r.buffer, r.giveBack, err = p.buffer(ctx, m, r)
	if ctx.Err() != nil {
		return interrupted()
	}
	if err != nil {
		if r.Reason = oneLine(err.Error()); r.Pages == bench.Small {
			return err
		}
		return nil
	}
	on, err := r.buffer.OnPages()
	if err != nil {
		return err
	}
	if r.OnPages = float64(on*1000/m.Memory) / 10; on == 0 {
		r.Reason = "the kernel put the buffer on other pages"
		if thp, err := p.host().THP(); err == nil && r.Pages == bench.THP {
			r.Reason = "the kernel gave none; transparent_hugepage/enabled is " + thp.Enabled
		}
	}
	return nil
}

// buffer gets the memory to measure. Pages of a pool are held while it maps
// them; from then on the kernel counts them as in use, so that the claim, which
// tells whose they are, need not promise them.
func (p *program) buffer(ctx context.Context, m *measurement, r *measured) (b *bench.Buffer, giveBack func() error, err error) {
	giveBack = func() error { return nil }
	if r.Pages != bench.Hugetlb {
		b, err = p.mapBuffer(r, m)
		return b, giveBack, err
	}
	item := pages.Item{PageSize: r.PageSize, Pages: r.PageSize.Ceil(m.Memory), MemoryKiB: m.Memory / pages.KiB}
	if m.Node >= 0 {
		item.HostNodes, item.Mode = pages.FormatNodes([]int{m.Node}), pages.Strict
	}
	guest := hostprep.NewGuest(pages.Demand{Items: []pages.Item{item}}, pages.Traits{}, hostprep.NoStarter(), hostprep.UnknownIDs(), hostprep.Unasked())
	if os.Geteuid() != 0 {
		if guest.Pending, err = pool.ReadPending(p.host().Root, ""); err != nil {
			return nil, giveBack, err
		}
		if short := p.host().Lacking(guest); short != nil {
			return nil, giveBack, errors.New(short.Have + ", and " + short.Need + " are needed; root can add them")
		}
		b, err = p.mapBuffer(r, m)
		return b, giveBack, err
	}
	uuid := newUUID()
	ledger, err := p.openLedger(ctx, uuid)
	if err != nil {
		return nil, giveBack, err
	}
	defer ledger.Close()
	if _, err := p.hold(ctx, ledger, pool.Claim{UUID: uuid, Name: benchName}, guest); err != nil {
		return nil, giveBack, err
	}
	giveBack = func() error {
		ledger, err := p.openLedger(context.Background(), uuid)
		if err != nil {
			return err
		}
		defer ledger.Close()
		_, _, err = p.release(ledger, uuid, benchName)
		return err
	}
	b, err = p.mapBuffer(r, m)
	return b, giveBack, err
}

func (p *program) mapBuffer(r *measured, m *measurement) (*bench.Buffer, error) {
	report, clear := p.progress(benchName)
	defer clear()
	report("filling a buffer on pages of "+r.PageSize.String(), 0, 0)
	return bench.Map(r.Pages, r.PageSize, m.Memory)
}

// line is a result with a bar as long as an access takes, beside that of small
// pages.
func (m *measurement) line(style picture.Style, i int) string {
	r, title := m.Results[i], ""
	if i == 0 {
		title = fmt.Sprintf("random reads of a buffer of %s, each after the last; less is better\n", pages.FormatBytes(m.Memory))
	}
	name := r.PageSize.String()
	if r.Pages == bench.THP {
		name = "THP"
	}
	if r.Nanoseconds == 0 {
		return fmt.Sprintf("%s%-6s not measured: %s", title, name, r.Reason)
	}
	longest := max(8, style.Width-42)
	length, ratio := longest, ""
	if r.Ratio > 0 && i > 0 {
		length = min(longest, max(1, int(float64(longest)/r.Ratio+0.5)))
		ratio = fmt.Sprintf("  %.2f times as fast", r.Ratio)
	}
	colour := picture.Cyan
	if i > 0 && r.Ratio > 1 {
		colour = picture.Green
	}
	bar := style.Paint(colour, style.Plain().Bar(longest, int64(longest), picture.Amount{Part: picture.Used, N: int64(length)}))
	text := fmt.Sprintf("%s%-6s %7.1f ns  %s%s", title, name, r.Nanoseconds, bar, ratio)
	if r.OnPages < 100 {
		text += fmt.Sprintf("\n       with %.1f %% of the buffer on such pages", r.OnPages)
	}
	return strings.TrimRight(text, " ")
}
