package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/advice"
)

// locateLibvirt comes before all that reads or changes a file of libvirt's. What only prints
// does without.
func (p *program) locateLibvirt(c *cli.Context) error {
	switch command := c.Args().First(); {
	case slices.Contains([]string{"", "help", "completion"}, command), strings.HasPrefix(command, "__"):
		return nil
	}
	if err := libvirtd.Locate(p.host()); err != nil {
		return advice.Wrap(err, "finding libvirt's files", "correct that file, or remove it")
	}
	return nil
}
