package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"vmhuge/internal/pages"
	"vmhuge/xml"
)

func (p *program) xmlDemandCommand() *cli.Command {
	return &cli.Command{
		Name: "demand", Usage: "show how many huge pages a domain XML needs", ArgsUsage: "[FILE|-]",
		Description: `Prints how many huge pages of which size the domain takes when it starts. A
<hugepages> without a size depends on the host: --default-size says which size that
is.

FILES
  FILE  a domain XML; without it, or with -, standard input
EXIT STATUS
  0
  1  the XML is not valid
  2`,
		UsageText: `  vmhuge xml demand web1.xml
  virsh dumpxml web1 | vmhuge xml demand --json`,
		Flags:  []cli.Flag{&cli.StringFlag{Name: "default-size", Usage: "`SIZE` the host's default huge page size, such as 2M"}},
		Action: p.xmlDemand,
	}
}

func (p *program) xmlDemand(c *cli.Context) error {
	var size pages.Size
	if c.IsSet("default-size") {
		var err error
		size, err = pages.ParseSize(c.String("default-size"))
		if err != nil {
			return usage("--default-size: %s", err)
		}
	}
	doc, err := p.document(c)
	if err != nil {
		return err
	}
	if err := xml.ForQEMU(doc); err != nil {
		return aboutFile(err, c)
	}
	demand, err := xml.Demand(doc, size)
	if err != nil {
		return aboutFile(err, c)
	}
	for _, text := range xml.CautionTexts(doc) {
		p.warn("%s", text)
	}
	totals := demand.Totals()
	if p.json {
		p.printJSON(map[string]any{"domain": demand.Domain, "uuid": demand.UUID, "type": demand.Type,
			"backing": demand.Backing, "demand": demand.Items, "totals": totals})
		return nil
	}
	p.say("%s: %s%s", oneLine(demand.Domain), takesWords(demand.Backing, totals), laterWords(demand.Items))
	return nil
}

// laterWords says what virtio-mem devices take once the guest runs.
func laterWords(items []pages.Item) (text string) {
	for _, i := range items {
		switch {
		case i.LaterPages > 0:
			text += fmt.Sprintf("; later, when the guest plugs its virtio-mem device: %d %s of %s", i.LaterPages, plural(i.LaterPages, "page"), i.PageSize)
		case i.Kind == pages.VirtioMem && i.PageSize == 0:
			text += "; later what its virtio-mem device is requested to have"
		}
	}
	return text
}
