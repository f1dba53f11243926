package journal

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// toolWait is how long a tool of the system may take: update-grub looks for other systems
// on every disk, and a restart of libvirtd waits for the guests' files. toolGrace is what
// it has to end after that.
const (
	toolWait  = 5 * time.Minute
	toolGrace = 5 * time.Second
)

// RunFirst runs the first command that is installed, for at most five minutes. If that
// fails, its output is in the error.
func RunFirst(commands ...[]string) error { return runFirst(toolWait, toolGrace, commands...) }

func runFirst(wait, grace time.Duration, commands ...[]string) error {
	for _, command := range commands {
		program, err := exec.LookPath(command[0])
		if err != nil {
			continue
		}
		return runTool(wait, grace, program, command)
	}
	return fmt.Errorf("%s is not installed", commands[0][0])
}

func runTool(wait, grace time.Duration, program string, command []string) error {
	// It is in a group of its own, which Ctrl-C does not reach.
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(interrupted, wait)
	defer cancel()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, program, command[1:]...)
	cmd.Stdout, cmd.Stderr = &said, &said
	// What it has started must not go on without it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signalAll := func(s syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, s) }
	cmd.Cancel = func() error { return signalAll(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	line := strings.Join(command, " ")
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		select {
		case err = <-ended:
		case <-time.After(2 * grace): // not even a kill ends one that waits for a disk
			return fmt.Errorf("%s: it did not end within %s, nor when it was killed", line, wait)
		}
	}
	switch output := strings.TrimSpace(said.String()); {
	case err == nil, ctx.Err() == nil && errors.Is(err, exec.ErrWaitDelay): // a service that it started keeps its output open
		return nil
	case ctx.Err() == nil:
		return fmt.Errorf("%s: %s", line, cmp.Or(output, err.Error()))
	default:
		_ = signalAll(syscall.SIGKILL)
		why := "it did not end within " + wait.String()
		if interrupted.Err() != nil {
			why = "interrupted"
		}
		if output != "" {
			why += "; it said: " + output
		}
		return fmt.Errorf("%s: %s", line, why)
	}
}
