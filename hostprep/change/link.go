package change

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// KindLink makes, moves or removes a symbolic link. From and To are where it points.
const KindLink Kind = "link"

var link = kind{
	name: KindLink,
	find: func(_ Change, _ host.Host, parent int, name string) (string, error) { return readLink(parent, name) },
	line: func(c Change) string {
		switch {
		case c.To == "":
			return "rm " + c.Path
		case c.From != "":
			return c.toFrom("ln -sfn %s %s")
		}
		return fmt.Sprintf("ln -s %s %s", c.To, c.Path)
	},
	onDisk: always,
}

// readLink returns where a symbolic link points; "": nothing is there.
func readLink(parent int, name string) (string, error) {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(parent, name, target)
	switch {
	case errors.Is(err, unix.ENOENT):
		return "", nil
	case errors.Is(err, unix.EINVAL):
		return "", host.IrregularError("no symbolic link")
	}
	return string(target[:max(0, n)]), err
}
