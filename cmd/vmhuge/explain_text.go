package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/advice"
)

// failure reads the text that is to be explained, and says where it is from.
func (p *program) failure(c *cli.Context) (text, source string, err error) {
	args := c.Args().Slice()
	switch {
	case c.IsSet("domain") && c.String("domain") == "":
		return "", "", usage("a domain name is empty")
	case len(args) == 0 && c.IsSet("domain"):
		text, source, err = libvirtd.DomainLog(p.host(), p.domainLogs(), c.String("domain"))
		if err != nil {
			do := "give the text itself: virsh start DOMAIN 2>&1 | vmhuge explain"
			if errors.Is(err, fs.ErrPermission) {
				do = "run vmhuge as root, or " + do
			}
			err = advice.Wrap(err, "reading what "+c.String("domain")+" said", do)
		}
		return text, source, err
	case len(args) > 1 || len(args) == 1 && args[0] != "-" && !namesFile(args[0]):
		return strings.Join(args, " "), "the command line", nil
	}
	p.uncatch() // a named pipe is waited for as it is opened
	in, source := p.stdin, "standard input"
	if len(args) == 1 && args[0] != "-" {
		source = args[0]
		f, err := os.Open(source)
		if err != nil {
			return "", source, unreadableText(err, source)
		}
		defer f.Close()
		in = f
	} else if terminal(p.stdin) {
		p.warn("reading an error text from the terminal; Ctrl-D ends it")
	}
	doc, err := io.ReadAll(io.LimitReader(in, largestText+1))
	switch {
	case err != nil:
		return "", source, unreadableText(err, source)
	case len(doc) > largestText:
		return "", source, advice.New("reading "+source, "it is larger than 1 MiB", "give the part with the error")
	}
	return string(doc), source, nil
}

const largestText = 1 << 20

func unreadableText(err error, name string) error {
	if told := (*fs.PathError)(nil); errors.As(err, &told) {
		err = told.Err // its text names the file a second time
	}
	return advice.Wrap(err, "reading "+name, "give a text, a file with one, or - for standard input")
}

// namesFile says that an argument is a file rather than a text: there is one of
// that name, or it is a path as no text is one.
func namesFile(arg string) bool {
	if info, err := os.Stat(arg); err == nil {
		return !info.IsDir()
	}
	return strings.Contains(arg, "/") && !strings.ContainsAny(arg, " :")
}

// domainLogs is the folder of the domains' logs.
func (p *program) domainLogs() string {
	if strings.HasSuffix(p.uri, "/session") && os.Getuid() != 0 {
		if dir, err := os.UserCacheDir(); err == nil {
			return filepath.Join(dir, "libvirt", "qemu", "log")
		}
	}
	return p.host().Root.Libvirt().QEMULogs()
}
