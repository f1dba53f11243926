package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/probe"
)

// probeCommand is what check runs as QEMU's user; no person would.
func (p *program) probeCommand() *cli.Command {
	return &cli.Command{
		Name:   probe.Command,
		Hidden: true,
		Action: func(c *cli.Context) error { return probe.Run(c.Args().First(), p.stdin, p.stdout) },
	}
}
