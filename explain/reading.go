package explain

import (
	"encoding/hex"
	"html"
	"regexp"
	"strconv"
	"strings"
)

// reading is a text as the patterns take it.
type reading struct {
	text string // in English, without what pasting has done to it
	low  string // the same in small letters, byte for byte
	cut  bool   // a line of it may end before its words do
}

func newReading(text string) reading {
	r := reading{text: English(Clean(text))}
	r.low = lower(r.text)
	r.cut = cutMark.MatchString(r.text)
	return r
}

// cutMark is what a pager or a program leaves where it cuts off a line: less, which
// shows journalctl's, a > in the last column, others three dots.
var cutMark = regexp.MustCompile(`>[ \t]*(?:\n|$)|\.\.\.`)

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
	text = colours.ReplaceAllString(text, "")
	text = html.UnescapeString(html.UnescapeString(text)) // some escape twice
	text = escapes.ReplaceAllStringFunc(text, unescape)
	text = marks.Replace(text)
	text = quoted.ReplaceAllString(text, "")
	return auditHex.ReplaceAllStringFunc(text, unhex)
}

var (
	colours = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|\\^\\[\\[[0-9;]*m")
	// A backslash before it may be doubled, by JSON within JSON.
	escapes = regexp.MustCompile(`\\+(?:["'nrt]|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})`)
	quoted  = regexp.MustCompile(`(?m)^[ \t]*(?:>[ \t]?)+`)
	marks   = strings.NewReplacer("\r\n", "\n", "\r", "\n",
		"‘", "'", "’", "'", "‚", "'", "‛", "'", "′", "'", "´", "'", "`", "'", "‹", "'", "›", "'",
		"“", `"`, "”", `"`, "„", `"`, "‟", `"`, "«", `"`, "»", `"`, "「", "'", "」", "'",
		"\u00a0", " ", "\u202f", " ", "\u3000", " ", "\u200b", "", "\ufeff", "", "\u00ad", "",
		"：", ": ", "，", ", ", "（", "(", "）", ")", "…", "...")
	// The kernel writes what has a blank in hexadecimal in an audit record.
	auditHex = regexp.MustCompile(`\b(?:path|name|comm|profile)=(?:[0-9A-F]{2}){4,}\b`)
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
