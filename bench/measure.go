package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// Options is what is to be measured.
type Options struct {
	Sizes     []pages.Size          // of the huge pages
	THP       pages.Size            // of the transparent ones
	Has       func(pages.Size) bool // does the kernel have pages of that size?
	Memory    int64                 // of each buffer, in bytes; 0: 1 GiB, or less where that is too much
	Available int64                 // bytes of memory that the host can spare
	Node      int                   // where all is measured; -1: the host has but one
	Time      time.Duration         // for all kinds together
}

// Measurement is one run over all kinds of pages.
type Measurement struct {
	Memory  int64         `json:"memory_bytes"` // of each buffer
	Node    int           `json:"node"`         // -1: the host has but one
	Results []Result      `json:"results"`
	Time    time.Duration `json:"-"`
}

// Result is what one kind of pages makes of an access.
type Result struct {
	Pages       Kind       `json:"pages"`
	PageSize    pages.Size `json:"page_size_kib"`
	Nanoseconds float64    `json:"ns_per_access"`    // 0: not measured
	Ratio       float64    `json:"times_as_fast"`    // as on small pages; 0: not known
	OnPages     float64    `json:"on_pages_percent"` // of the buffer, as the kernel says
	Reason      string     `json:"reason,omitempty"` // why it was not measured

	buffer   *Buffer
	giveBack func() error // what was added to the pools for it
}

// New decides what is measured. All buffers together take half of the memory that
// is available at most; an error says that this is too little.
func New(o Options) (*Measurement, error) {
	kinds := int64(len(o.Sizes) + 2)
	most := o.Available / 2 / kinds
	m := &Measurement{Memory: o.Memory, Node: o.Node, Time: o.Time}
	if m.Memory == 0 {
		m.Memory = min(pages.GiB, most) / int64(o.THP) * int64(o.THP)
	}
	if m.Memory == 0 || m.Memory > most {
		return nil, &advice.Error{What: "measuring", Why: fmt.Sprintf("%d buffers would take more than half of the %d MiB that are available", kinds, o.Available/pages.MiB),
			Do: "use a smaller --memory", Kind: advice.NoMemory}
	}
	m.Results = []Result{{Pages: Small, PageSize: pages.SizeOfKiB(int64(os.Getpagesize()) / pages.KiB)}, {Pages: THP, PageSize: o.THP}}
	for _, size := range o.Sizes {
		r := Result{Pages: Hugetlb, PageSize: size}
		if !o.Has(size) {
			r.Reason = "the kernel has no such pages"
		}
		m.Results = append(m.Results, r)
	}
	return m, nil
}

// Means is what a measurement needs of the host.
type Means struct {
	// Hold gets pages of a pool, and calls use while nobody else can take them;
	// what it has added, giveBack takes out again. giveBack is never nil.
	Hold func(ctx context.Context, item pages.Item, use func() error) (giveBack func() error, err error)
	// Step begins to show what is done, until clear is called.
	Step func(step string) (clear func())
	// THP is the mode of transparent huge pages, "" where it can't be read.
	THP func() string
}

// turn is how long one kind is measured before the next. Taking turns, all kinds
// meet the same weather: what else the host does slows down memory for seconds.
const turn = 100 * time.Millisecond

// Run gets all buffers, measures them in turns, and gives them back.
func (m *Measurement) Run(ctx context.Context, means Means) (err error) {
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
		if err := m.ready(ctx, &m.Results[i], means); err != nil {
			return err
		}
	}
	defer means.Step(fmt.Sprintf("measuring for %v", m.Time))()
	for end := time.Now().Add(m.Time); ; {
		for i := range m.Results {
			if err := m.measure(ctx, &m.Results[i]); err != nil {
				return err
			}
		}
		if !time.Now().Before(end) {
			return nil
		}
	}
}

// measure reads a buffer for a turn.
func (m *Measurement) measure(ctx context.Context, r *Result) error {
	if r.Reason != "" {
		return nil
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
	return nil
}

func interrupted() error { return advice.New("measuring", "interrupted", "all pages were freed") }

// ready gets the buffer on one kind of pages. What keeps it from that is the
// result's reason; an error ends it all.
func (m *Measurement) ready(ctx context.Context, r *Result, means Means) error {
	if r.Reason != "" {
		return nil
	}
	if int64(r.PageSize) > m.Memory {
		r.Reason = "a page is larger than the buffer of " + pages.FormatBytes(m.Memory)
		return nil
	}
	err := m.fill(ctx, r, means)
	switch {
	case ctx.Err() != nil:
		return interrupted()
	case err != nil && r.Pages == Small:
		return err
	case err != nil:
		r.Reason = err.Error()
		return nil
	}
	on, err := r.buffer.OnPages()
	if err != nil {
		return err
	}
	r.OnPages = float64(on*1000/m.Memory) / 10
	if on == 0 {
		r.Reason = "the kernel put the buffer on other pages"
		if mode := means.THP(); r.Pages == THP && mode != "" {
			r.Reason = "the kernel gave none; transparent_hugepage/enabled is " + mode
		}
	}
	return nil
}

// fill gets the memory to measure. Pages of a pool are held while it maps them;
// from then on the kernel counts them as in use, so that the claim, which tells
// whose they are, need not promise them.
func (m *Measurement) fill(ctx context.Context, r *Result, means Means) error {
	fill := func() (err error) {
		defer means.Step("filling a buffer on pages of " + r.PageSize.String())()
		r.buffer, err = Map(r.Pages, r.PageSize, m.Memory)
		return err
	}
	if r.Pages != Hugetlb {
		return fill()
	}
	item := pages.Item{PageSize: r.PageSize, Pages: r.PageSize.Ceil(m.Memory), MemoryKiB: m.Memory / pages.KiB}
	if m.Node >= 0 {
		item.HostNodes, item.Mode = pages.FormatNodes([]int{m.Node}), pages.Strict
	}
	var err error
	r.giveBack, err = means.Hold(ctx, item, fill)
	return err
}
