// Package explain is the table of what libvirt, QEMU, the kernel and hooks say when
// a guest does not come to run on its huge pages, with the cause and the cure. Text
// in, rows out; it looks at no host.
package explain

import (
	"cmp"
	"path"
	"strconv"
	"strings"

	"vmhuge/internal/advice"
	"vmhuge/internal/lazyregexp"
	"vmhuge/internal/shell"
)

// Row is one cause, and the words by which it is known. Several causes may have
// the same words; then only the check on the host can tell which it is.
type Row struct {
	ID string // as in the findings of the check that sees it
	// Says are the words, in English. … stands for anything in the same line, PATH
	// for a path, ¶ for the end of the line, and quotation marks may be missing.
	Says      []string
	Unless    []string // with these words in the same message it is another row's
	UnlessAny []string // with these words anywhere in the text it is another row's
	With      []string // only where one of these words is anywhere in the text
	On        []Place  // where PATH, or QEMU's mem-path, must be; none: anywhere
	Wordless  bool     // only where QEMU says nothing in the text but warnings, and that it was told to end
	// OfUnaligned: not of memory that the text shows to be a whole number of pages
	OfUnaligned bool
	Codes       []int  // libvirt's numeric codes (virterror.h) that say it by themselves
	Versions    string // which versions say which of it, where that differs
	Cause       string
	Check       string // the check that gives the evidence; "": none can
	Do          string // with the words of Names, PATH for the path of the text, and UNIT for its last part
	Small       string // Do where the text says that the pages are the smallest huge ones; "": the same
	Own         string // Do where QEMU has its memory elsewhere on a hugetlbfs than libvirt puts it; "": the same
	Kind        advice.Kind
}

// Match is a row that a text matches, and the words of the text that do.
type Match struct {
	Row
	Text string
	Path string // what stands for PATH; "": nothing
	// Domain is the one that the words are about, where the text names several; "": not known.
	Domain   string
	own      bool      // Own counts
	small    bool      // Small counts
	platform *platform // whose guest it is; nil: libvirt's, or not known
}

// As is the match that a row has with the same words: where the host shows that this is
// what they mean.
func (m Match) As(id string) Match {
	for _, row := range Rows() {
		if row.ID == id {
			m.Row = row
		}
	}
	return m
}

// Names are what words of Do stand for; "": not known.
type Names struct {
	Domain  string // DOMAIN
	Daemon  string // DAEMON: the unit of libvirt's daemon that has the QEMU driver
	User    string // USER: whom QEMU runs as
	Install string // INSTALL: the command of the package manager, such as apt-get install
	Conf    string // the directory of libvirt's configuration where it is not /etc/libvirt
}

// Cure is what to do about it. The names of the domain and of the path are from a text that
// anybody may have written, and commands with them are for root's shell.
func (m Match) Cure(n Names) string {
	words := []string{"PATH", "the path", "DAEMON", cmp.Or(n.Daemon, "libvirtd (or virtqemud)"), "INSTALL", cmp.Or(n.Install, "install"), `"$USER"`, `"$USER"`}
	if m.Path != "" {
		words[1] = shell.Quote(m.Path)
		words = append(words, "UNIT", shell.Quote(path.Base(m.Path)))
	}
	if n.Conf != "" {
		words = append(words, "/etc/libvirt", n.Conf)
	}
	if n.User != "" {
		words = append(words, "USER", shell.Quote(n.User))
	}
	if domain := cmp.Or(m.Domain, n.Domain); domain != "" {
		words = append(words, "=DOMAIN", "="+shell.Quote(domain), "DOMAIN", shell.Operand(domain))
	}
	do := m.Do
	switch {
	case m.own && m.Own != "":
		do = m.Own
	case m.small && m.Small != "":
		do = m.Small
	}
	return strings.NewReplacer(words...).Replace(m.platform.cure(m.Row, do))
}

// Explain finds what a text says, the root cause first. A text that no row knows
// has no match: nothing is guessed. hugetlbfs are the mount points of the host, by
// which a path is known to be one of huge pages; those that are usual are known
// without. What the text only quotes beside an error of its own does not count.
func Explain(text string, hugetlbfs ...string) []Match {
	text, _ = Current(text)
	code := 0
	if said := codeIn.Get().FindStringSubmatch(text); said != nil {
		code, _ = strconv.Atoi(said[1]) // one that does not fit is none of libvirt's
	}
	return Error(code, text, hugetlbfs...)
}

// Error is Explain for an error of libvirt, which has a code; 0: none.
func Error(code int, message string, hugetlbfs ...string) []Match {
	said := newReading(message)
	var matches []Match
	for _, row := range compiled() {
		if found := row.find(said, hugetlbfs); found != nil {
			matches = append(matches, found...)
			continue
		}
		for _, c := range row.Codes {
			if c == code {
				matches = append(matches, Match{Row: row.Row, Text: "Code=" + strconv.Itoa(code), platform: said.platform})
			}
		}
	}
	return matches
}

// codeIn finds the code of an error as Go's binding prints it:
//
//	virError(Code=70, Domain=34, Message='Hook script execution failed: …')
var codeIn = lazyregexp.New(`\bCode=([0-9]{1,4}),`)

// Named returns what a check advises with the domain in each command that changes one, as a
// check of the host alone does not know which; "": DOMAIN.
func Named(do, domain string) string {
	name := " DOMAIN"
	if domain != "" {
		name = " " + shell.Operand(domain)
	}
	var named strings.Builder
	from := 0
	for _, at := range ofOne.Get().FindAllStringIndex(do, -1) {
		named.WriteString(do[from:at[1]])
		from = at[1]
		if rest, ok := strings.CutPrefix(do[from:], name); !ok || rest != "" && !strings.ContainsAny(rest[:1], " ,;:)") {
			named.WriteString(name)
		}
	}
	return named.String() + do[from:]
}

// ofOne finds the commands that change a domain, up to its name.
var ofOne = lazyregexp.New(`\bvmhuge (?:-c \S+ )?(?:start|enable)\b(?: --(?:size [0-9A-Za-z]+|source (?:memfd|file)|keep no|threads \w+|round|thp)\b)*`)
