package main

import (
	"os/exec"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/lease"
	"vmhuge/qemu"
)

func (p *program) execCommand() *cli.Command {
	return &cli.Command{
		Name:      "exec",
		Usage:     "run plain QEMU on huge pages",
		Category:  withoutLibvirt,
		ArgsUsage: "-- COMMAND…",
		UsageText: `  vmhuge exec -- qemu-system-x86_64 -m 4G -enable-kvm disk.img
  vmhuge exec --dry-run -- qemu-system-x86_64 -m 4G disk.img`,
		Description: `Rewrites QEMU's command line so that its memory is a preallocated memfd of huge
pages: the memory of -m and of each memory-backend-ram or memory-backend-memfd. What
the command line says about files, -mem-path, hugetlb=, prealloc= and nodes stays.

Root allocates the missing pages (-runas USER lowers QEMU's privileges); other users
need free ones. The pages are freed when QEMU ends or, if vmhuge was killed, by the
next vmhuge command. QEMU runs in the foreground and is recognised by its -uuid; exec
adds a random one unless you give it. With --json the proof goes to standard error,
because standard output belongs to QEMU.

FILES
  /run/vmhuge/claims/
  /sys/devices/system/node/
EXIT STATUS
  1
  2
  4
  126  the program cannot be run
  127  the program was not found
  128+N  signal N ended QEMU
  other  QEMU's own exit code`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "size", Usage: "`SIZE` page size (default: that of enable, 2M on x86)"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the command line and what would be done as a shell script, run nothing"},
		},
		Action: func(c *cli.Context) error {
			e, err := p.readExec(c)
			if err != nil {
				return err
			}
			if c.Bool("dry-run") {
				return p.showExec(e)
			}
			e.path, err = exec.LookPath(e.Args[0])
			if err != nil {
				return answered(p.cannotRun(e.Args[0], err))
			}
			return p.supervise(c.Context, e)
		},
	}
}

// execution is one run of QEMU.
type execution struct {
	qemu.Command
	path  string
	guest hostprep.Guest
}

// readExec reads the command line, and what the host has for it.
func (p *program) readExec(c *cli.Context) (*execution, error) {
	if c.NArg() == 0 {
		return nil, usage("no QEMU command line is given: write vmhuge exec -- qemu-system-x86_64 -m 4G …")
	}
	host := p.host()
	mem, err := host.Meminfo()
	if err != nil {
		return nil, err
	}
	state, err := host.Pools()
	if err != nil {
		return nil, err
	}
	size := pages.Usual(host.Arch(), state.Sizes())
	if c.IsSet("size") {
		if size, err = pages.ParseSize(c.String("size")); err != nil {
			return nil, usage("--size: %s", err)
		}
	}
	command, err := qemu.Read(c.Args().Slice(), qemu.Options{
		Size: size, DefaultSize: mem.HugePageSize, UUID: lease.NewUUID(),
		PageSizeAt: func(path string) (pages.Size, error) {
			abs, err := filepath.Abs(path)
			if err != nil {
				return 0, err
			}
			return host.PageSizeAt(abs)
		},
	})
	if err != nil {
		return nil, usage("%s", oneLine(err.Error()))
	}
	for _, total := range command.Demand.Totals() {
		if _, ok := state.Global(total.PageSize); !ok {
			return nil, advice.New("starting "+oneLine(command.Name), "the kernel has no pages of "+total.PageSize.String(), "vmhuge check -v shows which it has")
		}
	}
	allowance, err := capacity.Allowance(host, command.UUID, 0)
	guest := hostprep.NewGuest(command.Demand, pages.Traits{}, hostprep.NoStarter(), hostprep.UnknownIDs(), allowance)
	return &execution{Command: command, guest: guest}, err
}
