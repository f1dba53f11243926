package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"vmhuge/explain"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/shell"
)

func (p *program) explainCommand() *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "explain an error from libvirt or QEMU, and what to do",
		Category:  finding,
		ArgsUsage: "[TEXT…|FILE|-]",
		UsageText: `  virsh start web1 2>&1 | vmhuge explain
  vmhuge explain "unable to map backing store for guest RAM: Cannot allocate memory"
  vmhuge explain --domain web1    the last start in the domain's own log`,
		Description: `Takes the error from its arguments, a file or standard input; with --domain alone it
reads the domain's last start from its log. Several causes can produce the same
message: explain inspects the host to tell which one it is. Changes nothing.

FILES
  /var/log/libvirt/qemu/
  /var/log/audit/audit.log
EXIT STATUS
  0  the message is known
  1
  2
  3  the message is unknown`,
		Flags: []cli.Flag{&cli.StringFlag{Name: "domain", Usage: "`NAME` the domain that failed; without a text, read its log"}},
		Action: func(c *cli.Context) error {
			text, source, err := p.failure(c)
			if err != nil {
				return err
			}
			domain := c.String("domain")
			if domain == "" {
				domain = explain.DomainIn(text)
			}
			if domain != "" && explain.LacksQEMUsWords(text) {
				if log, file, err := libvirtd.DomainLog(p.host(), p.domainLogs(), domain); err == nil {
					text, source = log, file
				}
			}
			return p.explain(explain.LastStart(text), source, domain)
		},
	}
}

// unknownText says that no row knows the text, and names what it quotes.
func (p *program) unknownText(text, source, domain string, quoted []explain.Match) error {
	if p.json {
		p.printJSON(map[string]any{"domain": domain, "source": source, "known": false, "causes": []cause{},
			"verdict": "", "host": []fact{}})
		return answered(exitNotReady)
	}
	what := "no known message about huge pages is in " + oneLine(source)
	if strings.TrimSpace(text) == "" {
		what = oneLine(source) + " is empty"
	}
	do := "vmhuge check says whether a start would succeed now"
	if domain != "" {
		do = "vmhuge check " + shell.Operand(domain) + " says whether it would start now"
	}
	p.insist("unknown: %s; %s", what, oneLine(do))
	p.showQuoted(quoted)
	return answered(exitNotReady)
}
