package launcher

import (
	"context"

	"vmhuge/hostprep/collapse"
	"vmhuge/hostprep/process"
	"vmhuge/internal/advice"
	"vmhuge/internal/shell"
)

// Collapsed is what became of a running domain's RAM.
type Collapsed struct {
	Name  string `json:"name"`
	UUID  string `json:"uuid"`
	State State  `json:"state"`
	collapse.Result
}

// Collapse makes the RAM of a running domain huge.
func (l *Launcher) Collapse(ctx context.Context, name string, o collapse.Options) (Collapsed, error) {
	what := "collapsing " + name
	if err := l.needHost(what); err != nil {
		return Collapsed{}, err
	}
	if ctx.Err() != nil {
		return Collapsed{}, advice.New(what, "interrupted", "")
	}
	d, err := l.find(name)
	if err != nil {
		return Collapsed{}, err
	}
	defer d.Free()
	what = "collapsing " + d.name
	c := Collapsed{Name: d.name, UUID: d.uuid, State: d.state}
	if !d.state.active() {
		return c, advice.New(what, "it does not run", "start it: vmhuge start "+shell.Operand(d.name))
	}
	running, err := process.FindGuests(l.host.Root)
	if err != nil {
		return c, err
	}
	qemu, ramKiB, backends, err := l.memory(what, d, running)
	if err != nil {
		return c, err
	}
	c.Result, err = collapse.Run(ctx, l.host, collapse.Guest{Process: qemu, UUID: d.uuid, RAMKiB: ramKiB, Backends: backends}, o)
	return c, advice.About(err, "%s", what)
}
