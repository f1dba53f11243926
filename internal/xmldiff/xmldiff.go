// Package xmldiff shows what changes in a domain XML.
package xmldiff

import (
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"vmhuge/internal/lazyregexp"
)

// password matches the attribute that holds the password of VNC and SPICE.
var password = lazyregexp.New(`passwd=('[^']*'|"[^"]*")`)

// Unified is a unified diff of two domain XMLs, "" where they are the same. It is
// for eyes and logs, so it shows no passwords.
func Unified(oldName string, old []byte, newName string, new []byte) string {
	text := string(diff.Diff(oldName, old, newName, new))
	_, text, _ = strings.Cut(text, "\n") // a line that names both, as the next two do
	return password.Get().ReplaceAllString(text, "passwd='***'")
}
