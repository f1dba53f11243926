package explain

import (
	"slices"
	"strings"
	"time"

	"vmhuge/internal/lazyregexp"
)

// DomainIn returns the domain that a text names; "": none.
//
//	error: Failed to start domain 'web1'
//	internal error: QEMU unexpectedly closed the monitor (vm='web1'): …
//	# virsh start web1
//	can't open backing store /dev/hugepages/libvirt/qemu/1-web1 for guest RAM: …
//
// A text that names several has none that all of it is about. "Failed to create domain from
// web1.xml" names none, nor does "Failed to start domain: …":
// what follows the colon is the reason.
func DomainIn(text string) string {
	text, _ = Current(text)
	text = English(Clean(text))
	if mentions(text) != nil {
		return ""
	}
	for _, form := range domainForms {
		for _, found := range form.Get().FindAllStringSubmatch(text, -1) {
			if name := nameIn(found[1]); name != "" {
				return name
			}
		}
	}
	return ""
}

func nameIn(found string) string {
	name := strings.TrimSpace(found)
	if slices.Contains(notNames, strings.ToLower(name)) || strings.ContainsAny(name, "\n'") {
		return ""
	}
	return name
}

// mention is a place where a text names a domain that failed.
type mention struct {
	at   int
	name string
}

// mentions finds where an English text names domains, by the forms that name one for
// certain; nil: it names no two.
func mentions(text string) (all []mention) {
	several := false
	for _, form := range domainForms[:certainForms] {
		for _, at := range form.Get().FindAllStringSubmatchIndex(text, -1) {
			if name := nameIn(text[at[2]:at[3]]); name != "" {
				several = several || len(all) > 0 && name != all[0].name
				all = append(all, mention{at[0], name})
			}
		}
	}
	if !several {
		return nil
	}
	slices.SortStableFunc(all, func(a, b mention) int { return a.at - b.at })
	return all
}

// domainOf is the domain that words at a place are about, of several: the one of the same
// line, or the last before; "": none.
func (r reading) domainOf(at int) (name string) {
	_, end := linesOf(r.text, at, at)
	for _, m := range r.domains {
		if m.at < end {
			name = m.name
		}
	}
	return name
}

// DomainsOf are the domains that these matches are about, of a text that names several, each
// once and in the order of the matches; "" is among them for words of none.
func DomainsOf(matches []Match) (names []string) {
	for _, m := range matches {
		if !slices.Contains(names, m.Domain) {
			names = append(names, m.Domain)
		}
	}
	return names
}

// certainForms is how many of domainForms there are in messages about a failure alone.
const certainForms = 4

// notNames are the words that follow "domain" where a message names none.
var notNames = []string{"from", "because", "due", "with", "after", "error"}

// domainForms are how libvirt, virsh, virt-manager and others name a domain; the
// surest first.
var domainForms = expressions(
	// virsh; since 6.10 with quotation marks.
	`(?i)failed to (?:start|create|restore|get|define|destroy) (?:the )?domain '([^'\n]+)'`,
	// Older virsh: the name ends the line, or a program has put the next message behind it.
	`(?im)failed to (?:start|create|restore) (?:the )?domain ([^\s':,]+?)(?:error:|:\s|,|:?[ \t]*$|\s+(?:because|due to|with|after|error)\b)`,
	`(?i)failed to autostart VM '([^'\n]+)'`,
	// libvirtd: since 9.4 in the error itself.
	`\(vm='([^'\n]+)'\)`,
	`\bfor domain '?([^\s';]+)'?; current job is`,
	`\bDomain id=[0-9]+ name='([^'\n]+)'`,
	`no domain with matching name '([^'\n]+)'`,
	// QEMU's command line, in the domain's own log.
	`-name '?(?:guest=)?([^\s,']+),debug-threads`,
	`-name '?guest=([^\s,']+)`,
	// The hook's command line.
	`/libvirt/hooks/[^\s)]+ (\S+) (?:prepare|start|started|stopped|release|migrate|restore|reconnect) (?:begin|end)\b`,
	// Other programs, and other languages.
	`\bVM '([^'\n]+)' failed to start`, `\bVM "([^"\n]+)" failed to start`, `\bVM (\S+) (?:failed to start|konnte)`,
	`(?im)(?:^|[^n] |[^a-z ])(?:domain|domäne|domaine|dominio|domínio|domena|domeny|domenę) '([^'\n]+)'`,
	`(?i)\b(?:domain|domäne|domaine|dominio|domínio|domena|domeny|domenę) "([^"\n]+)"`,
	`(?:домен|домена|域|ドメイン|도메인) ?["']([^"'\n]+)["']`,
	// What was typed.
	`\bvirsh (?:-\S+ |--connect \S+ |qemu:\S+ )*(?:start|create)(?: --\S+)* ([\w.][\w.@+-]*?)\.?(?: --\S+)*[ \t]*(?:\n|$|2>|\|)`,
	// systemd's scope of a guest, and libvirt's folders: these cut a name at 20
	// characters, so that a longer one is not to be had from them.
	`\bmachine-qemu-[0-9]+-([\w.@+-]{1,19})\.scope`,
	`/libvirt/qemu/(?:channel/target/)?domain-[0-9]+-([\w.@+-]{1,19}?)\.?(?:[\s/'":,)]|$)`,
	`/libvirt/qemu/channel/target/[0-9]+-([\w.@+-]{1,19}?)\.?(?:[\s/'":,)]|$)`,
	`(?:^|[^n])/libvirt/qemu/[0-9]+-([\w.@+-]{1,19}?)\.?(?:[\s/'":,)]|$)`, // in /run/libvirt/qemu more follows the name
)

func expressions(forms ...string) []*lazyregexp.Regexp {
	var all []*lazyregexp.Regexp
	for _, form := range forms {
		all = append(all, lazyregexp.New(form))
	}
	return all
}

// LastStart cuts off what came before the last start in a domain's log; any
// other text stays whole.
//
//	2026-11-21 03:28:16.123+0000: starting up libvirt version: 9.0.0, package: …
//	LC_ALL=C \
//	/usr/bin/qemu-system-x86_64 \
//	-name guest=web1,debug-threads=on \
//	2026-11-21T03:28:16.456789Z qemu-system-x86_64: unable to map backing store …
//	2026-11-21 03:28:16.789+0000: shutting down, reason=failed
//
// A start that failed before libvirt had a command line has only the last of these lines.
func LastStart(text string) string {
	at := strings.LastIndex(text, ": starting up libvirt version: ")
	text = text[strings.LastIndex(text[:max(at, 0)], "\n")+1:]
	ends := shutDown.Get().FindAllStringIndex(text, -1)
	if len(ends) > 1 {
		return text[ends[len(ends)-2][1]:]
	}
	return text
}

// Lasted is when the last start in a domain's log began, at the earliest, and ended; zero: the
// text does not say.
func Lasted(text string) (from, to time.Time) {
	text = LastStart(text)
	end := shutDown.Get().FindStringSubmatch(text)
	if end == nil {
		return from, to
	}
	to = logTime(end[1])
	if start := startedUp.Get().FindStringSubmatch(text); start != nil {
		return logTime(start[1]).Add(-clockSkew), to.Add(clockSkew)
	}
	return to.Add(-withoutStart), to.Add(clockSkew)
}

const (
	clockSkew    = time.Second // the kernel's clock of its audit records is coarse
	withoutStart = 30 * time.Second
)

var (
	shutDown  = lazyregexp.New(`(?m)^([0-9]{4}-[0-9-]+ [0-9:.]+[+-][0-9]{4}): shutting down, reason=.*(?:\n|$)`)
	startedUp = lazyregexp.New(`(?m)^([0-9]{4}-[0-9-]+ [0-9:.]+[+-][0-9]{4}): starting up libvirt version: `)
)

func logTime(stamp string) time.Time {
	at, _ := time.Parse("2006-01-02 15:04:05.999-0700", stamp) // what is none is the zero time
	return at
}

// withoutWords ends with what libvirt says by itself, where QEMU's words should follow: its
// messages about the monitor, and about a child that does not become QEMU
// (src/qemu/qemu_monitor.c and qemu_process.c).
var withoutWords = lazyregexp.New(`(?i)(?:closed the monitor|exited prior to exec|connecting to monitor|QEMU monitor was closed|(?:failed to connect to monitor socket|monitor socket did not show up|Unable to read from monitor|Unable to write to monitor): [^:\n]*)(?: \(vm='[^'\n]*'\))?[:.]?\s*$`)

// LacksQEMUsWords says that libvirt reports QEMU's end and no reason: it looked for QEMU's
// words in the domain's log before virtlogd, on a busy host, had written them there.
func LacksQEMUsWords(text string) bool { return withoutWords.Get().MatchString(English(Clean(text))) }
