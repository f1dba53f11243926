package journal

import (
	"fmt"
	"io"
	"os"
	"strings"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
)

// program copies a program or removes the copy.
var program = kind{
	set: func(h host.Host, c change.Change, parent int, name string) error {
		return setFile(h, c, parent, name, func(f io.Writer) error {
			source, err := os.Open(c.Source)
			if err != nil {
				return err
			}
			defer source.Close()
			sum, err := change.Hash(source, f)
			if err == nil && !strings.HasSuffix(c.To, " "+sum) {
				err = fmt.Errorf("%s has changed meanwhile", c.Source)
			}
			return err
		})
	},
	clear: func(_ change.Change, parent int, name string) error { return clearHalf(parent, name) },
}
