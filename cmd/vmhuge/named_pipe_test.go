package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"vmhuge/hostprep/hosttest"
)

// A named pipe without a writer is waited for as it is opened: Ctrl-C and SIGTERM end the
// program by then, as nothing has been done yet.
func TestNamedPipeEndsBySignals(t *testing.T) {
	for name, read := range map[string]func(*program, string) error{
		"a domain XML": func(p *program, path string) error { _, err := p.read(path); return err },
		"a text to explain": func(p *program, path string) error {
			args := flag.NewFlagSet("explain", flag.ContinueOnError)
			if err := args.Parse([]string{path}); err != nil {
				return err
			}
			_, _, err := p.failure(cli.NewContext(cli.NewApp(), args, nil))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			pipe := filepath.Join(t.TempDir(), "pipe")
			hosttest.Must(t, unix.Mkfifo(pipe, 0o600))
			uncaught, done := make(chan bool, 1), make(chan error, 1)
			p := &program{uncatch: func() { uncaught <- true }}
			go func() { done <- read(p, pipe) }()
			select {
			case <-uncaught:
			case <-time.After(5 * time.Second):
				t.Error("it waits for a writer, and catches signals")
			}
			writer, err := os.OpenFile(pipe, os.O_WRONLY, 0)
			hosttest.Must(t, err)
			writer.Close()
			hosttest.Must(t, <-done)
		})
	}
}
