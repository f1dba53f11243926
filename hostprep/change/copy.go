package change

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"

	"vmhuge/hostprep/host"
)

// KindCopy copies a program, or removes the copy. From and To are its mode, owner and
// hash: 0755 0:0 sha256:3a7b…
const KindCopy Kind = "copy"

var copyKind = kind{
	name: KindCopy,
	find: func(c Change, _ host.Host, parent int, name string) (string, error) {
		return readFile(c.Path, parent, name, func(owner string, f io.Reader) (string, error) {
			sum, err := Hash(f, io.Discard)
			return owner + " " + sum, err
		})
	},
	line: func(c Change) string {
		mode, _, _ := strings.Cut(c.To, " ")
		if c.To == "" {
			return "rm " + c.Path
		}
		return fmt.Sprintf("install -m %s %s %s", mode, c.Source, c.Path)
	},
	// A former program can't be put back: only its hash is on record. It was an older
	// copy of ours.
	reverse: func(c *Change) {
		if c.From != "" {
			c.To = ""
		}
	},
	onDisk: always,
}

// Hash returns the sha256 of what it reads, as From and To have it, and passes the
// text on.
func Hash(r io.Reader, w io.Writer) (string, error) {
	sum := sha256.New()
	_, err := io.Copy(io.MultiWriter(sum, w), r)
	return fmt.Sprintf("sha256:%x", sum.Sum(nil)), err
}

// HashFile is Hash of a file.
func HashFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return Hash(f, io.Discard)
}
