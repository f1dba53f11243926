package main

import (
	"github.com/urfave/cli/v2"

	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/internal/xmldiff"
	"vmhuge/xml"
)

func (p *program) xmlCommand() *cli.Command {
	dryRun := &cli.BoolFlag{Name: "dry-run", Usage: "print the diff instead of the XML"}
	return &cli.Command{
		Name:     "xml",
		Usage:    "add, remove or count huge pages in domain XML from a file or stdin",
		Category: withoutLibvirt, ArgsUsage: "COMMAND [FILE|-]",
		Description: `Works on a domain XML from a file or standard input and prints the result. It needs
no libvirt, no root and no huge pages. Everything that it does not change stays byte
for byte.

FILES
  FILE  a domain XML, as virsh dumpxml --inactive prints it; without it, or with -, standard input
EXIT STATUS
  0
  1
  2`,
		UsageText: "  virsh dumpxml web1 --inactive --security-info | vmhuge xml enable > web1.xml",
		Subcommands: []*cli.Command{{
			Name: "enable", Usage: "add huge pages to a domain XML", ArgsUsage: "[FILE|-]",
			Description: `Prints the domain XML with huge pages added, as vmhuge enable writes it.

` + sizeHelp + `

FILES
  FILE  a domain XML; without it, or with -, standard input
EXIT STATUS
  0
  1  the XML is not valid, or does not allow huge pages
  2`,
			UsageText: `  vmhuge xml enable web1.xml > huge.xml
  vmhuge xml enable --size 1G --dry-run web1.xml`,
			Flags: append(rewriteFlags(), dryRun),
			Action: func(c *cli.Context) error {
				want, err := wanted(c)
				if err != nil {
					return err
				}
				return p.filter(c, func(doc []byte) ([]byte, error) {
					if err := xml.ForQEMU(doc); err != nil {
						return nil, err
					}
					want.Have = p.sizesFor(doc)
					out, err := want.Rewrite(doc)
					if err != nil {
						return nil, err
					}
					for _, text := range want.Notes(doc, out) {
						p.warn("%s", text)
					}
					return out, nil
				})
			},
		}, {
			Name: "disable", Usage: "remove from a domain XML what enable added", ArgsUsage: "[FILE|-]",
			Description: `Prints the domain XML that enable was given, byte for byte: enable notes in
<metadata> what it changes. A <hugepages> without such a note is yours and is kept.

FILES
  FILE  a domain XML; without it, or with -, standard input
EXIT STATUS
  0
  1  the XML is not valid
  2`,
			UsageText: "  vmhuge xml disable huge.xml > web1.xml",
			Flags:     []cli.Flag{dryRun, &cli.BoolFlag{Name: "unmarked", Usage: "also remove a <hugepages> without a note; early versions of enable wrote none"}},
			Action: func(c *cli.Context) error {
				unmarked := c.Bool("unmarked")
				return p.filter(c, func(doc []byte) ([]byte, error) {
					out, err := xml.Revert(doc, unmarked)
					if err != nil || xml.Marked(doc) || unmarked {
						return out, err
					}
					if demand, err := xml.Demand(doc, 0); err == nil && demand.Backing == pages.Hugetlb {
						p.warn("its <hugepages> was not added by vmhuge, and is kept; --unmarked removes it")
					}
					return out, nil
				})
			},
		}, p.xmlDemandCommand()},
		Action: func(*cli.Context) error { return usage("xml needs one of enable, disable and demand") },
	}
}

// sizesFor are the sizes of huge pages of this host, if a guest can be one of its kernel;
// nil: it is for another host.
func (p *program) sizesFor(doc []byte) []pages.Size {
	if !xml.OfKernel(doc, p.host().Arch()) {
		return nil
	}
	state, err := p.host().Pools()
	if err != nil {
		return nil
	}
	return state.Sizes()
}

func (p *program) filter(c *cli.Context, rewrite func([]byte) ([]byte, error)) error {
	doc, err := p.document(c)
	if err != nil {
		return err
	}
	out, err := rewrite(doc)
	if err != nil {
		return aboutFile(err, c)
	}
	switch {
	case c.Bool("dry-run"):
		text := xmldiff.Unified("before", doc, "after", out)
		if p.json {
			p.printJSON(map[string]any{"diff": text})
		}
		p.printDiff(text)
	case p.json:
		p.printJSON(map[string]any{"xml": string(out)})
	default:
		if _, err := p.stdout.Write(out); err != nil {
			return advice.Wrap(err, "writing the XML", "")
		}
	}
	return nil
}
