package main

import (
	"slices"

	"github.com/urfave/cli/v2"
)

// connections are the libvirts that a command line names. err is of reorder.
func connections(app *cli.App, args []string, err error) ([]string, error) {
	if err != nil || len(args) == 0 {
		return nil, err
	}
	l, err := readLine(app, args[1:])
	if err == nil && len(l.uris) > 1 && !slices.Equal(l.path, []string{"status"}) {
		err = usage("--connect is given %d times; only status takes several hosts", len(l.uris))
	}
	return l.uris, err
}

// connect keeps each value of --connect: urfave/cli keeps the last.
func (l *line) connect(flag cli.Flag, uri string) {
	if flag != nil && flag.Names()[0] == "connect" {
		l.uris = append(l.uris, uri)
	}
}
