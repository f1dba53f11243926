package explain

import "slices"

// Weighed is a match with what a host shows of it; E is a finding of a check.
type Weighed[E any] struct {
	Match
	Evidence []E
	Seen     bool // it is so on the host now
	Refuted  bool // it is not so on the host now
}

// Weigh gives each match the findings that are of its cause, and puts those first
// that are so now, and those last that a check refutes. of tells a finding's cause, and
// whether it is so now.
func Weigh[E any](matches []Match, findings []E, of func(E) (id string, now bool), refutes func(Match) bool) []Weighed[E] {
	var all []Weighed[E]
	for _, m := range matches {
		w := Weighed[E]{Match: m}
		for _, f := range findings {
			if id, now := of(f); id == m.ID {
				w.Evidence = append(w.Evidence, f)
				w.Seen = w.Seen || now
			}
		}
		w.Refuted = len(w.Evidence) == 0 && refutes(m)
		all = append(all, w)
	}
	rank := func(w Weighed[E]) int {
		switch {
		case w.Seen:
			return 0
		case w.Refuted:
			return 2
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b Weighed[E]) int { return rank(a) - rank(b) })
	return all
}

// Excluded says that of the causes with the same words another is seen on the host.
func Excluded[E any](all []Weighed[E], i int) bool {
	return i > 0 && !all[i].Seen && all[0].Seen && all[i].Text == all[0].Text
}

// Ambiguous says that several causes have the same words, and that a check could
// tell which it is.
func Ambiguous(matches []Match) bool {
	return slices.ContainsFunc(matches, func(m Match) bool {
		return m.Check != "" && slices.ContainsFunc(matches, func(other Match) bool { return other.ID != m.ID && other.Text == m.Text })
	})
}
