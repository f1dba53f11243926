// Package noquery keeps the program from asking the terminal for its colours.
//
// Bubble Tea does so in an init function of its own, in whatever program has it
// linked in: vmhuge xml demand would swallow what is typed ahead, and wait five
// seconds for a terminal that does not answer. It does not ask if Lip Gloss
// knows already, which this package sees to first: Go initializes packages in
// the order of their paths, those they import before them (Go spec, "Program
// initialization"), and none of this module comes before github.com. Therefore
// it is a module of its own, under a name that nobody can have (RFC 2606).
//
// Bubble Tea 2 does not ask any more; it goes then.
package noquery

import "github.com/charmbracelet/lipgloss"

func init() { lipgloss.SetHasDarkBackground(true) }
