package main

import (
	"errors"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"vmhuge/internal/advice"
)

// largestDocument is more than libvirt takes over its wire (4 MiB a string).
const largestDocument = 64 << 20

// document reads the one document that a filter is given: a file, or stdin.
func (p *program) document(c *cli.Context) ([]byte, error) {
	if c.NArg() > 1 {
		return nil, usage("expected one file, got %d", c.NArg())
	}
	return p.read(c.Args().First())
}

// read reads a document from a file, or from stdin for - and for no name.
func (p *program) read(path string) ([]byte, error) {
	p.uncatch() // a named pipe is waited for as it is opened
	in, name := p.stdin, "standard input"
	if path != "" && path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, unreadable(err, path)
		}
		defer f.Close()
		in, name = f, path
	} else if terminal(p.stdin) {
		p.warn("reading a domain XML from the terminal; Ctrl-D ends it")
	}
	doc, err := io.ReadAll(io.LimitReader(in, largestDocument+1))
	if err != nil {
		return nil, unreadable(err, name)
	}
	if len(doc) > largestDocument {
		return nil, advice.New("reading "+name, "it is larger than 64 MiB", "name a file with one domain XML")
	}
	return doc, nil
}

func unreadable(err error, name string) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err // its text names the file a second time
	}
	return advice.Wrap(err, "reading "+name, "name a file with a domain XML, or - for standard input")
}

// aboutFile names the file whose XML is refused.
func aboutFile(err error, c *cli.Context) error {
	if path := c.Args().First(); path != "" && path != "-" {
		return advice.About(err, "%s", path)
	}
	return err
}
