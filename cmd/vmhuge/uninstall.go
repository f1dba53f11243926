package main

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/ledger"
	"vmhuge/internal/advice"
)

func (p *program) uninstallCommand() *cli.Command {
	return &cli.Command{
		Name:     "uninstall",
		Usage:    "take vmhuge off this host: disable all, remove the hook, undo",
		Category: preparing,
		Description: `Does what vmhuge disable does for every domain that vmhuge enabled, then vmhuge hook
remove, then vmhuge undo. Without --yes it shows what it would do and changes nothing.

It refuses while guests use pages that vmhuge added, since nothing would free them
afterwards: stop those guests first. If a domain cannot be disabled, the hook and the
host stay as they are. After an interruption, run it again. The package stays
installed.

FILES
  /var/lib/vmhuge/domains/UUID.xml
  /var/lib/vmhuge/hook.json
  /var/lib/vmhuge/changes.json
  /run/vmhuge/claims/
EXIT STATUS
  0  done; only the package is left, and files that it lists
  1  failed, or something is left, which it lists
  2  wrong usage, or --yes is missing; nothing was done`,
		UsageText: `  vmhuge uninstall --dry-run
  vmhuge uninstall --yes`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "yes", Usage: "do it"},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, change nothing"},
		},
		Action: func(c *cli.Context) error {
			if err := noNames(c); err != nil {
				return err
			}
			if err := needRoot("uninstalling", false); err != nil { // only root can read the records
				return err
			}
			dryRun := c.Bool("dry-run") || !c.Bool("yes")
			if err := p.refuseUninstall(c.Context, dryRun); err != nil {
				return err
			}
			u, err := p.uninstall(c.Context, dryRun)
			if !c.Bool("yes") && !c.Bool("dry-run") && err == nil {
				return &advice.Error{What: "uninstalling", Why: "nothing was done yet", Do: "to do it, run vmhuge uninstall --yes", Kind: advice.Usage}
			}
			if p.json && u != nil {
				p.printJSON(u)
			}
			return err
		},
	}
}

// refuseUninstall refuses while guests hold pages that were added for them. What guests
// owe that are gone is given back first.
func (p *program) refuseUninstall(ctx context.Context, dryRun bool) error {
	if !dryRun {
		if _, _, err := ledger.Settle(ctx, p.host().Root); err != nil {
			return err
		}
	}
	claims, err := ledger.ReadClaims(p.host().Root)
	if err != nil {
		return err
	}
	var guests []string
	for _, c := range claims {
		if c.Phase == ledger.Starting || c.Phase == ledger.InUse && len(c.Grants) > 0 {
			guests = append(guests, c.Name)
		}
	}
	if len(guests) == 0 {
		return nil
	}
	slices.Sort(guests)
	return advice.New("uninstalling", "huge pages that vmhuge added are in use by "+strings.Join(guests, ", ")+", and nothing would free them afterwards",
		"stop them first, with vmhuge stop; nothing was changed")
}
