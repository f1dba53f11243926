package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"vmhuge/explain"
	"vmhuge/hostprep"
	"vmhuge/internal/advice"
	"vmhuge/launcher"
)

func (p *program) explainCommand() *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "explain an error of libvirt or QEMU, and what to do",
		Category:  finding,
		ArgsUsage: "[TEXT…|FILE|-]",
		UsageText: `  virsh start web1 2>&1 | vmhuge explain
  vmhuge explain "unable to map backing store for guest RAM: Cannot allocate memory"
  vmhuge explain --domain web1    the last start in the domain's own log`,
		Description: `Takes the error as words, from a file or from standard input; with --domain alone it
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
			return p.explain(explain.LastStart(text), source, domain)
		},
	}
}

// failure reads the text that is to be explained, and says where it is from.
func (p *program) failure(c *cli.Context) (text, source string, err error) {
	args := c.Args().Slice()
	switch {
	case c.IsSet("domain") && c.String("domain") == "":
		return "", "", usage("a domain name is empty")
	case len(args) == 0 && c.IsSet("domain"):
		text, source, err = p.host().DomainLog(p.domainLogs(), c.String("domain"))
		if err != nil {
			do := "give the text itself: virsh start DOMAIN 2>&1 | vmhuge explain"
			if errors.Is(err, fs.ErrPermission) {
				do = "run vmhuge as root, or " + do
			}
			err = advice.Wrap(err, "reading what "+c.String("domain")+" said", do)
		}
		return text, source, err
	case len(args) > 1 || len(args) == 1 && args[0] != "-" && !namesFile(args[0]):
		return strings.Join(args, " "), "the command line", nil
	}
	in, source := p.stdin, "standard input"
	if len(args) == 1 && args[0] != "-" {
		source = args[0]
		f, err := os.Open(source)
		if err != nil {
			return "", source, unreadableText(err, source)
		}
		defer f.Close()
		in = f
	} else if terminal(p.stdin) {
		p.warn("reading an error text from the terminal; Ctrl-D ends it")
	}
	doc, err := io.ReadAll(io.LimitReader(in, largestText+1))
	switch {
	case err != nil:
		return "", source, unreadableText(err, source)
	case len(doc) > largestText:
		return "", source, advice.New("reading "+source, "it is larger than 1 MiB", "give the part with the error")
	}
	return string(doc), source, nil
}

const largestText = 1 << 20

func unreadableText(err error, name string) error {
	if told := (*fs.PathError)(nil); errors.As(err, &told) {
		err = told.Err // its text names the file a second time
	}
	return advice.Wrap(err, "reading "+name, "give a text, a file with one, or - for standard input")
}

// namesFile says that an argument is a file rather than a text: there is one of
// that name, or it is a path as no text is one.
func namesFile(arg string) bool {
	if info, err := os.Stat(arg); err == nil {
		return !info.IsDir()
	}
	return strings.Contains(arg, "/") && !strings.ContainsAny(arg, " :")
}

// domainLogs is the folder of the domains' logs.
func (p *program) domainLogs() string {
	if strings.HasSuffix(p.uri, "/session") && os.Getuid() != 0 {
		if dir, err := os.UserCacheDir(); err == nil {
			return filepath.Join(dir, "libvirt", "qemu", "log")
		}
	}
	return hostprep.DomainLogDir
}

// cause is one that a text may have, and what the host shows of it now.
type cause struct {
	ID       string             `json:"id"`
	Text     string             `json:"text"`
	Cause    string             `json:"cause"`
	Versions string             `json:"versions"`
	Seen     bool               `json:"seen"` // it is so on this host now
	Evidence []hostprep.Finding `json:"evidence"`
	Do       string             `json:"do"`
}

func (p *program) explain(text, source, domain string) error {
	matches := explain.Explain(text)
	if len(matches) == 0 {
		return p.unknownText(text, source, domain)
	}
	var report launcher.Report
	var why error // there is no evidence
	if domain != "" && slices.ContainsFunc(matches, func(m explain.Match) bool { return m.Check != "" }) {
		report, why = p.evidence(domain)
	}
	if slices.ContainsFunc(matches, func(m explain.Match) bool {
		return m.ID == string(hostprep.SecurityModule) || m.ID == string(hostprep.AppArmorNUMA)
	}) {
		denied, err := p.host().Denied(report.UUID, time.Now())
		report.Findings = append(report.Findings, denied...)
		if why == nil {
			why = err
		}
	}
	causes := weigh(matches, report.Findings, domain)
	var facts []fact
	if report.Name == "" {
		facts = p.factsFor(matches)
	}
	if p.json {
		p.printJSON(map[string]any{"domain": domain, "source": source, "known": true, "causes": causes,
			"verdict": report.Verdict, "host": facts})
		return nil
	}
	for i, c := range causes {
		if i > 0 && !c.Seen && c.Text == causes[0].Text && causes[0].Seen {
			continue // the check has told which it is
		}
		if i == 0 || c.Text != causes[i-1].Text {
			p.insist("%s", oneLine(c.Text))
		}
		p.insist("  %s: %s", c.ID, c.Cause)
		if c.Versions != "" && p.verbose {
			p.insist("    said by %s", c.Versions)
		}
		for _, f := range c.Evidence {
			p.insist("    now: %s", findingWords(f))
		}
		p.insist("    do: %s", oneLine(c.Do))
	}
	seen := slices.ContainsFunc(causes, func(c cause) bool { return c.Seen })
	switch {
	case why != nil:
		p.warn("cannot tell which cause this host has: %s", oneLine(why.Error()))
	case report.Verdict == hostprep.Running:
		p.insist("now: %s runs", oneLine(domain))
	case report.Name != "" && !seen:
		p.insist("now: none of these causes is present on this host (%s)", report.Verdict)
	}
	for _, f := range facts {
		p.insist("now: %s: %s", f.Name, f.Value)
	}
	return nil
}

// unknownText says that no row knows the text, and nothing more.
func (p *program) unknownText(text, source, domain string) error {
	if p.json {
		p.printJSON(map[string]any{"domain": domain, "source": source, "known": false, "causes": []cause{},
			"verdict": "", "host": []fact{}})
		return answered(exitNotReady)
	}
	what := "nothing known about huge pages is in " + oneLine(source)
	if strings.TrimSpace(text) == "" {
		what = oneLine(source) + " is empty"
	}
	do := "vmhuge check says whether a start would succeed now"
	if domain != "" {
		do = "vmhuge check " + domain + " says whether it would start now"
	}
	p.insist("unknown: %s; %s", what, oneLine(do))
	return answered(exitNotReady)
}

// evidence asks every check about a domain.
func (p *program) evidence(domain string) (launcher.Report, error) {
	l, err := p.connect()
	if err != nil {
		return launcher.Report{}, err
	}
	defer l.Close()
	l.Probe = true
	return l.Check(domain)
}

// weigh gives each cause what the checks have found of it, and puts those first
// that are so now.
func weigh(matches []explain.Match, findings []hostprep.Finding, domain string) []cause {
	var causes []cause
	for _, m := range matches {
		c := cause{ID: m.ID, Text: m.Text, Cause: m.Cause, Versions: m.Versions, Do: m.Cure(domain)}
		for _, f := range findings {
			if string(f.Cause) == m.ID {
				c.Evidence = append(c.Evidence, f)
				c.Seen = c.Seen || f.Severity != hostprep.Note
			}
		}
		causes = append(causes, c)
	}
	slices.SortStableFunc(causes, func(a, b cause) int {
		switch {
		case a.Seen == b.Seen:
			return 0
		case a.Seen:
			return -1
		}
		return 1
	})
	return causes
}

// fact is a line about the host.
type fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// factsFor returns the lines about the host that the causes are about, where no
// domain is known that a check could be asked about.
func (p *program) factsFor(matches []explain.Match) []fact {
	about := map[string]string{"pool": "node ", "cgroup": "node ", "mount": "hugetlbfs", "path": "hugetlbfs", "page-size": "page sizes"}
	var facts []fact
	for _, f := range p.host().Facts(hostprep.Libvirt{}) {
		if slices.ContainsFunc(matches, func(m explain.Match) bool {
			prefix, ok := about[m.Check]
			return ok && strings.HasPrefix(f.Name, prefix)
		}) {
			facts = append(facts, fact{f.Name, f.Value})
		}
	}
	return facts
}
