package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"vmhuge/internal/advice"
	"vmhuge/launcher"
)

// names returns the domains that a command was given, at least one.
func names(c *cli.Context) ([]string, error) {
	if c.NArg() == 0 {
		return nil, &advice.Error{What: "command line", Why: "no domain is named", Kind: advice.Usage,
			Do: "run vmhuge " + c.Command.Name + " NAME; virsh list --all shows the names"}
	}
	return anyNames(c)
}

// anyNames returns the domains that a command was given, or none. An empty name
// is an unset variable of some script.
func anyNames(c *cli.Context) ([]string, error) {
	names := c.Args().Slice()
	if slices.Contains(names, "") {
		return nil, usage("a domain name is empty")
	}
	return names, nil
}

// onNamed connects for a command that works on the domains it was given.
func (p *program) onNamed(c *cli.Context, do func(l *launcher.Launcher, names []string) error) error {
	names, err := names(c)
	if err != nil {
		return err
	}
	return p.connected(func(l *launcher.Launcher) error {
		names, err := l.Expand(names)
		if err != nil {
			return err
		}
		return do(l, names)
	})
}

// connected connects for a command, and says in the end what there was to notice.
func (p *program) connected(do func(l *launcher.Launcher) error) error {
	l, err := p.connect()
	if err != nil {
		return err
	}
	defer l.Close()
	defer p.notices(l)
	return do(l)
}

// expandOrAll returns the domains that names stand for, or every domain.
func (p *program) expandOrAll(l *launcher.Launcher, names []string, all bool) ([]string, error) {
	if !all {
		return l.Expand(names)
	}
	names, err := l.Names()
	if err == nil && len(names) == 0 {
		p.say("there are no domains")
	}
	return names, err
}

// onNamedOrAll is onNamed for a command with the flag --all.
func (p *program) onNamedOrAll(c *cli.Context, do func(l *launcher.Launcher, names []string) error) error {
	switch {
	case !c.Bool("all"):
		return p.onNamed(c, do)
	case c.NArg() > 0:
		return usage("--all is every domain, and %q is named", c.Args().First())
	}
	return p.connected(func(l *launcher.Launcher) error {
		names, err := p.expandOrAll(l, nil, true)
		if err != nil {
			return err
		}
		return do(l, names)
	})
}

// noNames refuses names for a command that takes none.
func noNames(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("%s takes no arguments, but %q was given", c.Command.Name, c.Args().First())
	}
	return nil
}
