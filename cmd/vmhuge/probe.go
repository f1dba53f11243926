package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
)

// probeCommand is what check runs as QEMU's user; no person would.
func (p *program) probeCommand() *cli.Command {
	return &cli.Command{
		Name:   hostprep.ProbeCommand,
		Hidden: true,
		Action: func(c *cli.Context) error { return hostprep.RunProbe(c.Args().First(), p.stdout) },
	}
}
