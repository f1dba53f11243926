package explain

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// known is a row with its words as patterns.
type known struct {
	Row
	says, unless, unlessAny, with []words
}

// words are a sentence of the table as a pattern of small letters.
type words struct {
	fixed   []string // what must be there word for word, or the pattern need not be tried; the longest first
	pattern *regexp.Regexp
	cut     func() *regexp.Regexp // the same where a line is cut off; nil: too little is left
}

var compiled = sync.OnceValue(func() []known {
	var all []known
	for _, row := range Rows() {
		all = append(all, known{row, compile(row.Says), compile(row.Unless), compile(row.UnlessAny), compile(row.With)})
	}
	return all
})

func compile(says []string) []words {
	var all []words
	for _, s := range says {
		tokens := tokensOf(s)
		w := words{pattern: regexp.MustCompile(strings.Join(tokens, ""))}
		for _, word := range strings.FieldsFunc(strings.ReplaceAll(s, "PATH", "…"), func(r rune) bool { return strings.ContainsRune(" …'", r) }) {
			if word = lower(strings.TrimSuffix(word, lineEnd)); word != "" {
				w.fixed = append(w.fixed, word)
			}
		}
		slices.SortStableFunc(w.fixed, func(a, b string) int { return len(b) - len(a) })
		w.cut = sync.OnceValue(func() *regexp.Regexp { return cutExpression(tokens) })
		all = append(all, w)
	}
	return all
}

// lineEnd in a sentence is where the line ends: what follows elsewhere is missing.
const lineEnd = "¶"

// tokensOf takes a sentence apart, into expressions of a character each. A blank is
// any space, for a terminal or a mail may have wrapped the line there.
func tokensOf(says string) []string {
	var tokens []string
	for says != "" {
		switch {
		case strings.HasPrefix(says, "PATH"):
			if says = says[len("PATH"):]; says == "" {
				tokens = append(tokens, `'?(?P<path>/[^\s'",;]*)`)
			} else {
				tokens = append(tokens, `'?(?P<path>/[^\n]*?)'?`)
			}
		case strings.HasPrefix(says, lineEnd):
			tokens, says = append(tokens, `[."'}\])]*[ \t]*(?:\n|$)`), says[len(lineEnd):]
		case strings.HasPrefix(says, "…"):
			tokens, says = append(tokens, `[^\n]*?`), says[len("…"):]
		case says[0] == ' ':
			tokens, says = append(tokens, `\s+`), says[1:]
		case strings.HasPrefix(says, "''"): // nothing is quoted
			tokens, says = append(tokens, `(?:''|"")`), says[2:]
		case says[0] == '\'' && len(says) > 1:
			tokens, says = append(tokens, `'?`), says[1:]
		default:
			tokens, says = append(tokens, regexp.QuoteMeta(lower(says[:1]))), says[1:]
		}
	}
	return tokens
}

// cutExpression is the sentence cut off anywhere in its last third, and within the
// words behind its last … or PATH.
func cutExpression(tokens []string) *regexp.Regexp {
	from := len(tokens) * 2 / 3
	for i, token := range tokens {
		if strings.HasSuffix(token, "*?") || strings.Contains(token, "?P<path>") {
			from = max(from, i+4)
		}
	}
	if len(tokens) < 20 || from >= len(tokens) {
		return nil
	}
	var expr strings.Builder
	expr.WriteString(strings.Join(tokens[:from], ""))
	for _, token := range tokens[from:] {
		expr.WriteString("(?:" + token)
	}
	expr.WriteString(strings.Repeat(")?", len(tokens)-from))
	expr.WriteString(`\s*(?:>[ \t]*(?:\n|$)|\.\.\.)`)
	return regexp.MustCompile(expr.String())
}

// find looks for the row's words in a text, where the row is about their path: once, or
// once for each of several domains.
func (k known) find(r reading, hugetlbfs []string) (all []Match) {
	if saysAny(k.unlessAny, r) || k.Wordless && r.qemuSpeaks() || len(k.with) > 0 && !saysAny(k.with, r) {
		return nil
	}
	for _, w := range k.says {
		for _, at := range w.all(r) {
			if len(k.unless) > 0 && saysAny(k.unless, r.message(at[0], at[1])) {
				continue
			}
			m := Match{Row: k.Row, Text: strings.Join(strings.Fields(r.text[at[0]:numberEnd(r.text, at[1])]), " "), platform: r.platform}
			if len(at) > 2 && at[2] >= 0 {
				m.Path = strings.TrimRight(r.text[at[2]:at[3]], ".") // the end of a sentence
			}
			memory := r.backendOf(at[0], at[1], hugetlbfs)
			if m.Path != "" && memory.place != Device {
				memory.place = PlaceOf(m.Path, hugetlbfs...)
			} else if len(k.On) > 0 {
				m.Path = memory.path
			}
			if !isOn(k.On, memory.place) || k.OfUnaligned && memory.isAligned() {
				continue
			}
			m.own = memory.place == MountRoot || memory.place == HugeFile || memory.place == Untold && r.typed
			m.small = memory.page > 0 && memory.page <= smallestHuge
			m.Domain = r.domainOf(at[0])
			if !slices.ContainsFunc(all, func(other Match) bool { return other.Domain == m.Domain }) {
				all = append(all, m)
			}
			if len(r.domains) == 0 {
				return all
			}
		}
	}
	return all
}

// numberEnd is where the number ends that words of a text end in.
func numberEnd(text string, end int) int {
	if end == 0 || !isDigit(text[end-1]) {
		return end
	}
	for end < len(text) && isDigit(text[end]) {
		end++
	}
	return end
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func saysAny(sentences []words, r reading) bool {
	return slices.ContainsFunc(sentences, func(w words) bool { return len(w.all(r)) > 0 })
}

// all returns where the words are: begin, end, and those of the path, if there is
// one.
func (w words) all(r reading) [][]int {
	if !slices.ContainsFunc(w.fixed, func(word string) bool { return !strings.Contains(r.low, word) }) {
		if found := w.pattern.FindAllStringSubmatchIndex(r.low, -1); found != nil {
			return found
		}
	}
	if !r.cut || w.cut() == nil {
		return nil
	}
	return w.cut().FindAllStringSubmatchIndex(r.low, -1)
}
