// Package explain is the table of what libvirt, QEMU and hooks say when a guest
// does not come to run on its huge pages, with the cause and the cure. Text in,
// rows out; it looks at no host.
package explain

import (
	"regexp"
	"strconv"
	"strings"
	"sync"

	"vmhuge/internal/advice"
)

// Row is one cause, and the words by which it is known. Several causes may have
// the same words; then only the check on the host can tell which it is.
type Row struct {
	ID       string   // as in the findings of the check that sees it
	Says     []string // … stands for anything in the same line
	Codes    []int    // libvirt's numeric codes (virterror.h) that say it by themselves
	Versions string   // which versions say which of it, where that differs
	Cause    string
	Check    string // the check that gives the evidence; "": none can
	Do       string // DOMAIN stands for the domain's name
	Kind     advice.Kind
}

// Cure is what to do about it, for a domain; "": whose name is not known.
func (r Row) Cure(domain string) string {
	if domain == "" {
		return r.Do
	}
	return strings.ReplaceAll(r.Do, "DOMAIN", domain)
}

// Match is a row that a text matches, and the words of the text that do.
type Match struct {
	Row
	Text string
}

// Explain finds what a text says, the root cause first. A text that no row knows
// has no match: nothing is guessed.
func Explain(text string) []Match {
	code := 0
	if said := codeIn.FindStringSubmatch(text); said != nil {
		code, _ = strconv.Atoi(said[1]) // one that does not fit is none of libvirt's
	}
	return Error(code, text)
}

// Error is Explain for an error of libvirt, which has a code; 0: none.
func Error(code int, message string) []Match {
	patterns := compiled()
	var matches []Match
	for i, row := range Rows() {
		if said, ok := first(patterns[i], message); ok {
			matches = append(matches, Match{row, said})
			continue
		}
		for _, c := range row.Codes {
			if c == code {
				matches = append(matches, Match{row, "Code=" + strconv.Itoa(code)})
			}
		}
	}
	return matches
}

// codeIn finds the code of an error as Go's binding prints it:
//
//	virError(Code=70, Domain=34, Message='Hook script execution failed: …')
var codeIn = regexp.MustCompile(`\bCode=([0-9]{1,4}),`)

func first(patterns []*regexp.Regexp, text string) (string, bool) {
	for _, p := range patterns {
		if at := p.FindStringIndex(text); at != nil {
			return strings.Join(strings.Fields(text[at[0]:at[1]]), " "), true
		}
	}
	return "", false
}

var compiled = sync.OnceValue(func() [][]*regexp.Regexp {
	var all [][]*regexp.Regexp
	for _, row := range Rows() {
		var patterns []*regexp.Regexp
		for _, says := range row.Says {
			patterns = append(patterns, pattern(says))
		}
		all = append(all, patterns)
	}
	return all
})

// pattern makes a blank any space, for a terminal or a mail may have wrapped the
// line there.
func pattern(says string) *regexp.Regexp {
	expr := regexp.QuoteMeta(says)
	expr = strings.ReplaceAll(expr, "…", `.*?`)
	expr = strings.ReplaceAll(expr, " ", `\s+`)
	return regexp.MustCompile(expr)
}

// DomainIn returns the domain that a text of libvirt's names; "": none.
//
//	error: Failed to start domain 'web1'
func DomainIn(text string) string {
	if found := startOf.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}

var startOf = regexp.MustCompile(`Failed to (?:start|create) domain '([^'\n]+)'`)

// LastStart cuts off what came before the last start in a domain's log; any
// other text stays whole.
//
//	2026-11-21 03:28:16.123+0000: starting up libvirt version: 9.0.0, package: …
//	LC_ALL=C \
//	/usr/bin/qemu-system-x86_64 \
//	-name guest=web1,debug-threads=on \
//	2026-11-21T03:28:16.456789Z qemu-system-x86_64: unable to map backing store …
//	2026-11-21 03:28:16.789+0000: shutting down, reason=failed
func LastStart(text string) string {
	at := strings.LastIndex(text, ": starting up libvirt version: ")
	return text[strings.LastIndex(text[:max(at, 0)], "\n")+1:]
}
