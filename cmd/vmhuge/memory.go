package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

func (p *program) memoryCommand() *cli.Command {
	return &cli.Command{
		Name:      "memory",
		Usage:     "grow or shrink a running guest on huge pages",
		Category:  running,
		ArgsUsage: "DOMAIN +SIZE|-SIZE|SIZE",
		UsageText: `  vmhuge memory web1 +4G
  vmhuge memory web1 -4G
  vmhuge memory web1 16G --config
  vmhuge memory web1 +4G --dimm --dry-run`,
		Description: `Gives a running guest more memory on huge pages, or takes some away. +SIZE and -SIZE
add or remove that much; SIZE alone sets its total.

The memory comes from a virtio-mem device of the guest that has room for it, else from
a new DIMM, which needs a free slot and room in <maxMemory>. A DIMM can only be removed
as a whole: -4G removes one of 4 GiB. Shrinking waits for the guest to give memory up.

The pages are allocated before libvirt is asked, and verified afterwards; on shrinking
they are freed. If the guest can't grow, it and the page pools stay as they were. If it
does not give up a DIMM in time, it keeps the memory and its pages.

virtio-mem takes its pages when the guest first touches them. Until then vmhuge keeps
them for this guest, but a program that does not ask vmhuge can take them.

If another change of the guest's memory is under way, vmhuge waits until it has ended,
and then plans its own anew. --timeout limits both waits together.

FILES
  /run/vmhuge/claims/
  /proc/PID/smaps
  /proc/PID/numa_maps
EXIT STATUS
  0  it has the memory, or already had; with --dry-run: it could have it
  1
  2
  3  its XML does not allow it, for example no free slot; nothing was changed
  4  memory or huge pages are missing; nothing was changed`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dimm", Usage: "add or remove a DIMM"},
			&cli.BoolFlag{Name: "virtio-mem", Usage: "use a virtio-mem device that the guest has"},
			&cli.IntFlag{Name: "guest-node", Usage: "`NODE` node of the guest to grow or shrink (default: the first that can)", Value: -1, DefaultText: ""},
			&cli.BoolFlag{Name: "config", Usage: "also change the domain's definition; if it is not running, only that"},
			&cli.StringFlag{Name: "timeout", Usage: "`TIME` how long to wait for the guest, such as 90s or 5m", Value: "30s"},
			&cli.StringFlag{Name: "host-reserve", Usage: reserveUsage},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would happen, and change nothing"},
		},
		Action: func(c *cli.Context) error {
			name, o, err := resizeOptions(c)
			if err != nil {
				return err
			}
			return p.connected(func(l *launcher.Launcher) error {
				return each(p, []string{name}, func(name string) (launcher.Resized, error) {
					report, clear := p.progress(name)
					defer clear()
					o.Progress = report
					return l.Resize(c.Context, name, o)
				}, p.showResized, func(launcher.Resized) int { return exitDone })
			})
		},
	}
}

// resizeOptions reads the domain, and what memory it is to have.
func resizeOptions(c *cli.Context) (name string, o launcher.ResizeOptions, err error) {
	words := c.Args().Slice()
	if len(words) != 2 {
		return "", o, &advice.Error{What: "command line", Why: "a domain and a size are needed, and nothing else", Kind: advice.Usage, Do: "run vmhuge memory NAME +4G"}
	}
	name, text := words[0], words[1]
	if name == "" {
		return "", o, usage("a domain name is empty")
	}
	size := strings.TrimLeft(text, "+-")
	bytes, err := pages.ParseBytes(size)
	switch {
	case err != nil || len(text)-len(size) > 1:
		return "", o, usage("%q is not an amount of memory: write it as +4G, -512M or 16G", text)
	case strings.Trim(size, "0123456789") == "":
		return "", o, usage("%s has no unit: write %sG or %sM", text, text, text)
	case bytes == 0:
		return "", o, usage("%s changes nothing: write it as +4G, -512M or 16G", text)
	case bytes%pages.KiB != 0:
		return "", o, usage("%s is not a multiple of 1 KiB", text)
	case c.Bool("dimm") && c.Bool("virtio-mem"):
		return "", o, usage("--dimm and --virtio-mem exclude each other")
	case c.IsSet("guest-node") && c.Int("guest-node") < 0:
		return "", o, usage("--guest-node: a guest has no node %d", c.Int("guest-node"))
	}
	o.KiB, o.Absolute = bytes/pages.KiB, size == text
	if strings.HasPrefix(text, "-") {
		o.KiB = -o.KiB
	}
	o.Config, o.DryRun, o.GuestNode = c.Bool("config"), c.Bool("dry-run"), c.Int("guest-node")
	switch {
	case c.Bool("dimm"):
		o.Device = pages.DIMM
	case c.Bool("virtio-mem"):
		o.Device = pages.VirtioMem
	}
	if o.Timeout, err = parseTime("timeout", c.String("timeout")); err != nil {
		return "", o, err
	}
	o.HostReserve, err = hostReserve(c)
	return name, o, err
}
