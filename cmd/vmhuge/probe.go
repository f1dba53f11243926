package main

import (
	"encoding/json"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep"
)

// probeCommand is what check runs as QEMU's user; no person would.
func (p *program) probeCommand() *cli.Command {
	return &cli.Command{
		Name:   hostprep.ProbeCommand,
		Hidden: true,
		Action: func(c *cli.Context) error {
			var probe hostprep.Probe
			if err := json.Unmarshal([]byte(c.Args().First()), &probe); err != nil {
				return usage("no probe: %s", err)
			}
			obstacle, err := probe.Go()
			if err != nil {
				return err
			}
			return json.NewEncoder(p.stdout).Encode(obstacle)
		},
	}
}
