package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/probe"
)

// call is one call by libvirt.
type call struct {
	host   host.Host
	parent int    // libvirtd, or a script of its user's that calls us
	name   string // of the guest
	stdin  io.Reader
	wait   time.Duration // for the ledger's lock
	event  hook.Event
	stdout []byte // the XML with which libvirt shall go on; nil: as it is
}

// refusal is the error of a start that would fail for want of pages.
type refusal struct {
	why, do string
	reason  hook.Reason
}

func (r *refusal) Error() string { return r.why + "; " + r.do }

// run serves one call and returns the exit code. The log comes first: whoever
// reads the rest may be gone.
func run(host host.Host, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 3 && args[1] == probe.Command { // it is vmhuge check that calls; libvirt has more to say
		if err := probe.Run(args[2], stdin, stdout); err != nil {
			fmt.Fprintln(stderr, "vmhuge:", err)
			return 1
		}
		return 0
	}
	serve := operation(args)
	if serve == nil || os.Getuid() != 0 { // libvirtd of a user runs the same hooks
		return 0
	}
	c := newCall(host, args, stdin)
	err := guarded(func() error { return serve(c) })
	no := (*refusal)(nil)
	switch {
	case errors.As(err, &no):
		c.event.Result, c.event.Reason = hook.Refused, no.reason
	case err != nil:
		c.event.Result = hook.Failed
	}
	c.note(err)
	if c.event.Result != "" {
		c.event.Microseconds = time.Since(c.event.Time).Microseconds()
		_ = hook.Log(host, c.event) // no guest hangs on it
	}
	if no != nil {
		fmt.Fprintln(stderr, oneLine(fmt.Sprintf("vmhuge: starting %s: %v", c.name, no)))
		return 1
	}
	if c.stdout != nil {
		_, _ = stdout.Write(c.stdout)
	}
	return 0
}

func newCall(host host.Host, args []string, stdin io.Reader) *call {
	c := &call{host: host, parent: os.Getppid(), name: args[1], stdin: stdin, wait: lockDeadline}
	c.event = hook.Event{Time: hookTime(), Operation: args[2], Name: c.name}
	return c
}

// hookTime is now, in UTC: of the host's time zone a file would have to be read.
func hookTime() time.Time { return time.Now().UTC() }

// note adds to the log why something is not as it should be.
func (c *call) note(err error) {
	if err == nil {
		return
	}
	if c.event.Why != "" {
		c.event.Why += "; "
	}
	c.event.Why += err.Error()
}

// guarded returns what work returns, or the bug that it runs into: one of ours is no reason
// for a guest not to start. Each goroutine needs it anew.
func guarded(work func() error) (err error) {
	defer func() {
		if bug := recover(); bug != nil {
			err = fmt.Errorf("a bug of vmhuge-hook: %v", bug)
		}
	}()
	return work()
}

// maxDocument is far above what libvirt takes over its own protocol (4 MiB).
const maxDocument = 8 << 20

// room is for the domain's XML. It is no slice of the heap, which would be cleared, so that the
// kernel gives only the pages that a document fills; most need no second one.
var room [32 << 10]byte

// document reads the domain's XML.
func (c *call) document() ([]byte, error) {
	text := bytes.NewBuffer(room[:0])
	n, err := text.ReadFrom(io.LimitReader(c.stdin, maxDocument+1))
	if n > maxDocument {
		err = fmt.Errorf("the domain XML is longer than %d MiB", maxDocument>>20)
	}
	return text.Bytes(), err
}

// oneLine keeps what a guest's name may hold from breaking a message.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}
