package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/check"
)

// probeCommand is what check runs as QEMU's user; no person would.
func (p *program) probeCommand() *cli.Command {
	return &cli.Command{
		Name:   check.ProbeCommand,
		Hidden: true,
		Action: func(c *cli.Context) error { return check.RunProbe(c.Args().First(), p.stdout) },
	}
}
