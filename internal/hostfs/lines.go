package hostfs

import (
	"strings"
)

// AddLine puts a line at the end of a text, which may lack its last line end.
func AddLine(text, line string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + line + "\n"
}
