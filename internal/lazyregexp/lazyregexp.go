// Package lazyregexp has regular expressions for package variables, which are compiled when
// they are first used: libvirt waits for the hook at each start of a guest, and somebody for
// vmhuge, and a run of either uses hardly any of those in the packages that it imports.
package lazyregexp

import (
	"regexp"
	"sync"
)

// Regexp is a regular expression that is compiled once.
type Regexp struct {
	expr     string
	once     sync.Once
	compiled *regexp.Regexp
}

// New returns the regular expression of a text. It does not compile it.
func New(expr string) *Regexp { return &Regexp{expr: expr} }

// Get returns the compiled expression. It panics if the text is none.
func (r *Regexp) Get() *regexp.Regexp {
	r.once.Do(func() { r.compiled = regexp.MustCompile(r.expr) })
	return r.compiled
}
