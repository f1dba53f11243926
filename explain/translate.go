package explain

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"sync"

	"vmhuge/internal/lazyregexp"
)

// translations is what libvirt and glibc say in other languages, of what the table
// knows: a language, the English words and their translation in a line, with tabs
// between. A test writes it from the .po files of libvirt 7.0, 9.0 and 11.3, and of
// glibc: ./just messages.
//
//go:embed translations.tsv
var translations string

// English puts the sentences that translations has in a text back into English; the
// rest stays.
func English(text string) string {
	for _, t := range foreign() {
		if !strings.Contains(text, t.rare) {
			continue
		}
		t.once.Do(func() { t.pattern = regexp.MustCompile(t.expr) })
		text = t.pattern.ReplaceAllString(text, t.english)
	}
	return text
}

type translation struct {
	rare    string // the longest word in it
	expr    string
	english string // with $1 for what stands in it
	once    *sync.Once
	pattern *regexp.Regexp
}

var foreign = sync.OnceValue(func() []*translation {
	type line struct{ english, foreign string }
	var lines []line
	for l := range strings.Lines(translations) {
		if fields := strings.Split(strings.TrimRight(l, "\n"), "\t"); len(fields) == 3 && !strings.HasPrefix(l, "#") {
			lines = append(lines, line{fields[1], fields[2]})
		}
	}
	// The longer first, as one may be part of another.
	slices.SortStableFunc(lines, func(a, b line) int { return len(b.foreign) - len(a.foreign) })
	var all []*translation
	for _, l := range lines {
		all = append(all, newTranslation(l.english, l.foreign))
	}
	return all
})

// verb is a value in a message: %s, or %2$llu where the order may change.
var verb = lazyregexp.New(`%(?:([0-9])\$)?[-+#0-9.*]*(?:hh|h|ll|l|z|j|t|q)?[a-zA-Z]`)

func newTranslation(english, foreign string) *translation {
	t := &translation{once: new(sync.Once)}
	foreign = marks.Replace(foreign)
	var expr strings.Builder
	names, last, n := map[string]bool{}, 0, 0
	literal := func(s string) {
		for _, word := range strings.Fields(s) {
			if word = strings.Trim(word, "'"); len(word) > len(t.rare) && !strings.Contains(word, "'") {
				t.rare = word
			}
		}
		quoted := strings.Join(strings.FieldsFunc(regexp.QuoteMeta(s), func(r rune) bool { return r == ' ' }), `\s+`)
		if strings.HasPrefix(s, " ") {
			quoted = `\s+` + quoted
		}
		if strings.HasSuffix(s, " ") && strings.TrimSpace(s) != "" {
			quoted += `\s+`
		}
		expr.WriteString(quoted)
	}
	at := verb.Get().FindAllStringSubmatchIndex(foreign, -1)
	for i, v := range at {
		literal(foreign[last:v[0]])
		n++
		name := "v" + string(rune('0'+n))
		if v[2] >= 0 {
			name = "v" + foreign[v[2]:v[3]]
		}
		some := `[^\n]*?`
		if v[0] == 0 || i == len(at)-1 && v[1] == len(foreign) {
			some = `[^\s:;,'"]+`
		}
		if names[name] {
			expr.WriteString(some)
		} else {
			names[name] = true
			expr.WriteString("(?P<" + name + ">" + some + ")")
		}
		last = v[1]
	}
	literal(foreign[last:])
	t.expr = expr.String()
	n = 0
	t.english = verb.Get().ReplaceAllStringFunc(strings.ReplaceAll(english, "$", "$$"), func(v string) string {
		n++
		v = strings.ReplaceAll(v, "$$", "$")
		name := "v" + string(rune('0'+n))
		if parts := verb.Get().FindStringSubmatch(v); parts != nil && parts[1] != "" {
			name = "v" + parts[1]
		}
		return "${" + name + "}"
	})
	return t
}
