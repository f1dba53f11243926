package explain

import (
	"html"
	"slices"
	"strings"

	"vmhuge/internal/lazyregexp"
)

// Current parts a text from what it quotes, if it has an error of its own: that one counts, be
// it of huge pages or not, and what is quoted was so before. quoted is "" where all counts.
//
//	That helped, now it says
//	error: Failed to start domain 'web1'
//	error: Network not found: no network with matching name 'lan'
//	> error: internal error: … unable to map backing store for guest RAM: Cannot allocate memory
func Current(text string) (now, quoted string) {
	all := quotedLines(text)
	depths := map[int][]string{}
	for _, l := range all {
		depths[l.depth] = append(depths[l.depth], l.text)
	}
	deepest := 0
	for depth := range depths {
		deepest = max(deepest, depth)
	}
	own := 0
	for ; own < deepest; own++ {
		said := strings.Join(depths[own], "\n")
		if len(Error(0, said)) > 0 || slices.ContainsFunc(all, func(l quotedLine) bool { return l.depth == own && !l.wrapped && isError(l.text) }) {
			break
		}
	}
	if own == deepest {
		return text, ""
	}
	var ours, theirs []string
	for _, l := range all {
		if l.depth <= own {
			ours = append(ours, l.text)
		} else {
			theirs = append(theirs, l.text)
		}
	}
	return strings.Join(ours, "\n"), strings.Join(theirs, "\n")
}

// quotedLine is a line of a text without the marks before it.
type quotedLine struct {
	text    string
	depth   int  // how often it was quoted
	wrapped bool // it may be the rest of the quoted line before, which a mail program has wrapped
}

func quotedLines(text string) []quotedLine {
	var all []quotedLine
	for line := range strings.SplitSeq(html.UnescapeString(strings.ReplaceAll(text, "\r\n", "\n")), "\n") {
		marks := quoteMarks.Get().FindString(line)
		l := quotedLine{text: line[len(marks):], depth: strings.Count(marks, ">")}
		if n := len(all); n > 0 {
			l.wrapped = all[n-1].depth > l.depth && len(all[n-1].text) > 60
		}
		all = append(all, l)
	}
	return all
}

// isError says that a line is a program's message about a failure, and not the one that only
// names the domain, or says that QEMU ended.
func isError(line string) bool {
	line = strings.TrimSpace(English(Clean(line)))
	return messageForm.Get().MatchString(line) && failure.Get().MatchString(line) && !onlyNames.Get().MatchString(line) && !withoutWords.Get().MatchString(line)
}

var (
	quoteMarks = lazyregexp.New(`^[ \t]*(?:>[ \t]?)+`)
	// messageForm is how a program's message begins: with error:, a program's name, or a time.
	messageForm = lazyregexp.New(`^(?i:(?:\w+ )?(?:error|fatal|fehler|erreur|errore?|erro|błąd|ошибка|помилка|错误|エラー|오류)\b[^:\n]{0,60}:|[A-Z]{4,} ERROR: )|^[a-z][\w./+-]*(?:\[[0-9]+\])?: |^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:|^[A-Z][a-z]{2} +[0-9]{1,2} [0-9]{2}:|^\[ *[0-9]+\.[0-9]+\]|^(?:Unable to|Cannot|Could not|Failed to) [^:\n]{3,90}: `)
	failure     = lazyregexp.New(`(?i)error|fehler|erreur|erro|błąd|ошибка|помилка|错误|エラー|오류|fail|cannot|can't|unable|could not|denied|no such|invalid|not (?:found|supported|available|active|permitted)|unsupported|refused|timed out|abort|killed`)
	onlyNames   = lazyregexp.New(`(?i)(?:failed to (?:start|create|restore) (?:the )?domain|Domain|domeny) (?:'[^'\n]+'|[^\s:]+)(?: konnte nicht gestartet werden)?$`)
)
