package explain

import (
	"cmp"
	"encoding/hex"
	"html"
	"strconv"
	"strings"

	"vmhuge/internal/lazyregexp"
)

// reading is a text as the patterns take it.
type reading struct {
	text     string // in English, without what pasting has done to it
	low      string // the same in small letters, byte for byte
	cut      bool   // a line of it may end before its words do
	typed    bool   // QEMU was started by hand, with -mem-path
	platform *platform
	domains  []mention // of several domains; none where the text names one at most
}

func newReading(text string) reading {
	r := reading{text: English(Clean(text))}
	r.low = lower(r.text)
	r.typed = byHand.Get().MatchString(r.text)
	r.cut = cutMark.Get().MatchString(r.text)
	r.domains = mentions(r.text)
	r.platform = platformOf(r.text)
	return r
}

// byHand is what QEMU says of a -mem-path that libvirt never writes so: it adds -mem-prealloc.
var byHand = lazyregexp.New(`falling back to regular RAM allocation|Make sure that -mem-path\s+specified path|QEMU [0-9][0-9.]* monitor - type 'help'`)

// qemuSpeaks says that QEMU gives a reason for its end: a line of its own that is no warning.
//
//	2026-11-21T03:28:16.456789Z qemu-system-x86_64: warning: host doesn't support requested feature: …
//	2026-11-21T03:28:16.456789Z qemu-system-x86_64: terminating on signal 15 from pid 347 (/usr/sbin/libvirtd)
func (r reading) qemuSpeaks() bool {
	for _, said := range qemuLine.Get().FindAllStringSubmatch(r.low, -1) {
		if !strings.Contains(said[1], "warning: ") && !strings.Contains(said[1], "info: ") && !strings.HasPrefix(said[1], "terminating on signal") {
			return true
		}
	}
	return false
}

var qemuLine = lazyregexp.New(`qemu-(?:system-[^\s:]+|kvm): ([^\n]*)`)

// message returns the message that words are in: their lines, with those before and behind
// that a terminal or a mail has wrapped.
func (r reading) message(begin, end int) reading {
	begin, end = linesOf(r.text, begin, end)
	for begin > 0 && wrapped.Get().MatchString(r.text[begin:]) {
		begin, _ = linesOf(r.text, begin-1, begin-1)
	}
	for end < len(r.text) && wrapped.Get().MatchString(r.text[end+1:]) {
		_, end = linesOf(r.text, end+1, end+1)
	}
	return reading{text: r.text[begin:end], low: r.low[begin:end], cut: r.cut}
}

// wrapped is the beginning of a line that goes on with the one before: in the middle of a
// sentence, not with a program, a time or an option.
var wrapped = lazyregexp.New(`^[ \t]*[a-z][a-z']*[ ,.;)]+[^:= ]`)

// linesOf widens a part of a text to whole lines, without the last line's end.
func linesOf(text string, begin, end int) (int, int) {
	begin = strings.LastIndex(text[:begin], "\n") + 1
	if rest := strings.Index(text[end:], "\n"); rest >= 0 {
		return begin, end + rest
	}
	return begin, len(text)
}

// cutMark is what a pager or a program leaves where it cuts off a line: less, which
// shows journalctl's, a > in the last column, others three dots.
var cutMark = lazyregexp.New(`>[ \t]*(?:\n|$)|\.\.\.`)

// lower makes ASCII letters small, so that offsets stay.
func lower(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}

// Clean takes back what terminals, mails, web pages, JSON and logs do to a text:
// colours, quoting, entities, escapes and quotation marks of other kinds.
func Clean(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = colours.Get().ReplaceAllString(text, "")
	text = html.UnescapeString(html.UnescapeString(text)) // some escape twice
	text = escapes.Get().ReplaceAllStringFunc(text, unescape)
	text = marks.Replace(text)
	text = softBreaks.Get().ReplaceAllString(text, "$1$2")
	text = quoted.Get().ReplaceAllString(text, "")
	text = whole(text)
	return auditHex.Get().ReplaceAllStringFunc(text, unhex)
}

// reasons are those of the kernel's that lines are cut off in, the most frequent first.
var reasons = []string{
	"Cannot allocate memory", "Permission denied", "No such file or directory", "Operation not permitted", "Invalid argument",
	"No space left on device", "Read-only file system", "Bad address", "Resource temporarily unavailable", "Device or resource busy",
}

// whole completes the reason in a line that ends within it: "for guest RAM: Cannot all".
func whole(text string) string {
	var done strings.Builder
	from := 0
	for _, at := range lastWords.Get().FindAllStringSubmatchIndex(text, -1) {
		done.WriteString(text[from:at[3]])
		from = at[3]
		done.WriteString(restOf(text[at[2]:at[3]], text[from:]))
	}
	return done.String() + text[from:]
}

// restOf is what a reason lacks; "": nothing, or what follows is the rest of one, in a line
// that is wrapped.
func restOf(said, then string) (lacks string) {
	for _, reason := range reasons {
		rest, ok := strings.CutPrefix(reason, said)
		if !ok || rest == "" {
			continue
		}
		first, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if strings.HasPrefix(strings.TrimSpace(then), first) {
			return ""
		}
		lacks = cmp.Or(lacks, rest)
	}
	return lacks
}

var (
	lastWords = lazyregexp.New(`(?m): ([A-Z][A-Za-z -]{2,24}?)["')\]}]*[ \t]*$`)
	colours   = lazyregexp.New("\x1b\\[[0-9;?]*[A-Za-z]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|\\^\\[\\[[0-9;]*m")
	// A backslash before it may be doubled, by JSON within JSON.
	escapes = lazyregexp.New(`\\+(?:["'nrt]|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})`)
	// softBreaks are those of quoted-printable mails: a = at the end, within a word.
	softBreaks = lazyregexp.New(`([a-z])=\n([a-z])`)
	quoted     = lazyregexp.New(`(?m)^[ \t]*(?:[>│┃|][ \t]?)+`)
	marks      = strings.NewReplacer("\r\n", "\n", "\r", "\n",
		"‘", "'", "’", "'", "‚", "'", "‛", "'", "′", "'", "´", "'", "`", "'", "‹", "'", "›", "'",
		"“", `"`, "”", `"`, "„", `"`, "‟", `"`, "«", `"`, "»", `"`, "「", "'", "」", "'",
		"\u00a0", " ", "\u202f", " ", "\u3000", " ", "\u200b", "", "\ufeff", "", "\u00ad", "",
		"：", ": ", "，", ", ", "（", "(", "）", ")", "…", "...")
	// The kernel writes what has a blank in hexadecimal in an audit record.
	auditHex = lazyregexp.New(`\b(?:path|name|comm|profile)=(?:[0-9A-F]{2}){4,}\b`)
)

func unescape(escape string) string {
	escape = strings.TrimLeft(escape, `\`)
	switch escape[0] {
	case 'n', 'r':
		return "\n"
	case 't':
		return " "
	case 'u', 'x':
		n, err := strconv.ParseUint(escape[1:], 16, 16)
		if err != nil || n < ' ' {
			return " "
		}
		return string(rune(n))
	}
	return escape // a quotation mark
}

func unhex(field string) string {
	key, value, _ := strings.Cut(field, "=")
	text, err := hex.DecodeString(value)
	if err != nil {
		return field
	}
	return key + `="` + strings.ToValidUTF8(string(text), "\uFFFD") + `"`
}
