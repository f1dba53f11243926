package main

import (
	"slices"

	"github.com/urfave/cli/v2"
)

// checkConnections refuses several libvirts where a command takes one.
func (l line) checkConnections() error {
	if len(l.uris) > 1 && !slices.Equal(l.path, []string{"status"}) {
		return usage("--connect is given %d times; only status takes several hosts", len(l.uris))
	}
	return nil
}

// connect keeps each value of --connect: urfave/cli keeps the last.
func (l *line) connect(flag cli.Flag, uri string) {
	if flag != nil && flag.Names()[0] == "connect" {
		l.uris = append(l.uris, uri)
	}
}
