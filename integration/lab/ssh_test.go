package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// result is what a command gave.
type result struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a line of shell in the lab, as root.
func (l *lab) Run(line string) result {
	l.t.Helper()
	r, err := l.run(line, nil)
	if err != nil {
		l.t.Fatalf("running in the lab: %s: %v\n%s", line, err, r.Stderr)
	}
	return r
}

// Must runs a line that has to succeed, and returns its output without the last
// end of line.
func (l *lab) Must(line string) string {
	l.t.Helper()
	r := l.Run(line)
	if r.Code != 0 {
		l.t.Fatalf("in the lab: %s: exit code %d\n%s%s", line, r.Code, r.Stdout, r.Stderr)
	}
	return strings.TrimSuffix(r.Stdout, "\n")
}

// Put copies a file into the lab, with its mode, and makes the folders it needs.
func (l *lab) Put(file, dest string) {
	l.t.Helper()
	from, err := os.Open(file)
	if err != nil {
		l.t.Fatal(err)
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		l.t.Fatal(err)
	}
	r, err := l.run(fmt.Sprintf("install -D -m %o /dev/stdin '%s'", info.Mode().Perm(), dest), from)
	if err != nil || r.Code != 0 {
		l.t.Fatalf("copying %s to the lab's %s: %v\n%s", file, dest, err, r.Stderr)
	}
}

// Reboot reboots the lab by systemd and GRUB, and waits until all has started.
func (l *lab) Reboot() {
	l.t.Helper()
	before := l.bootID()
	_, _ = l.run("systemctl reboot", nil) // the connection may break first
	l.hangUp()
	l.settle(before)
}

// settle waits until the lab has booted, if its boot ID is still the one before,
// and until systemd has started everything. It sets the lab's clock, which
// stood still while a saved lab lay in the cache.
func (l *lab) settle(before string) {
	l.t.Helper()
	deadline := time.Now().Add(20 * time.Minute)
	for l.connect() != nil || l.bootID() == before {
		l.hangUp()
		select {
		case <-l.ended:
			l.t.Fatal("the lab's QEMU has ended")
		case <-time.After(300 * time.Millisecond):
		}
		if strings.Contains(l.Console(), "Kernel panic") {
			l.t.Fatal("the lab's kernel has panicked")
		}
		if time.Now().After(deadline) {
			l.t.Fatal("the lab does not answer over ssh, twenty minutes after its start")
		}
	}
	if state := l.Run("systemctl is-system-running --wait").Stdout; state != "running\n" {
		l.t.Fatalf("the lab is %s%s", state, l.Run("systemctl --failed; journalctl --boot --no-pager --priority warning --identifier vmhuge --identifier systemd").Stdout)
	}
	l.Must(fmt.Sprintf("date -s @%d", time.Now().Unix()))
}

// bootID is empty where there is no answer.
func (l *lab) bootID() string {
	r, _ := l.run("cat /proc/sys/kernel/random/boot_id", nil)
	return r.Stdout
}

// run is Run for a line that reads stdin. It fails if the connection does.
func (l *lab) run(line string, stdin io.Reader) (result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "ssh", append(l.sshArguments(), line)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	err := cmd.Run()
	r := result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	const sshFailed = 255
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && r.Code > 0 && r.Code != sshFailed {
		return r, nil
	}
	return r, err
}

// connect logs in, with a connection that all commands share: an ssh handshake
// without KVM takes longer than most of them. It ends with QEMU at the latest.
func (l *lab) connect() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return exec.CommandContext(ctx, "ssh", l.sshArguments("-M", "-N", "-f")...).Run()
}

func (l *lab) hangUp() {
	_ = exec.Command("ssh", l.sshArguments("-O", "exit")...).Run()
}

func (l *lab) sshArguments(options ...string) []string {
	// Nothing is known of the lab, and nothing is to be remembered.
	return append([]string{"-F", "/dev/null", "-S", filepath.Join(l.dir, "ssh"),
		"-i", filepath.Join(l.img.dir, "key"), "-p", l.port, "-l", "root",
		"-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-o", "ConnectTimeout=5", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=8",
	}, append(options, "127.0.0.1")...)
}
