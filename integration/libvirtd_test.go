package integration

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"
)

var (
	scratch  string   // the directory that TestMain made; its bin/ holds vmhuge
	libvirtd *daemons // the tests' own

	// libvirtdName is virtqemud where libvirt's daemons are split.
	libvirtdName = cmp.Or(os.Getenv("VMHUGE_INTEGRATION_LIBVIRTD"), "libvirtd")
)

// daemons are libvirtd, or virtqemud in its place, the virtlogd it needs, and a connection.
type daemons struct {
	virtlogd, libvirtd *exec.Cmd
	conn               *libvirt.Connect
}

func startDaemons() (*daemons, error) {
	d := &daemons{}
	var err error
	if d.virtlogd, err = startDaemon("virtlogd"); err != nil {
		return nil, err
	}
	if err := d.startLibvirtd(); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

func (d *daemons) startLibvirtd() (err error) {
	if d.libvirtd, err = startDaemon(libvirtdName, listening...); err != nil {
		return err
	}
	// The first answer can take long: libvirtd asks QEMU what it can do.
	deadline := time.Now().Add(hangs)
	for {
		d.conn, err = libvirt.NewConnect("qemu:///system")
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || !alive(d.libvirtd) {
			log, _ := os.ReadFile(daemonLog(libvirtdName))
			return fmt.Errorf("%s does not answer: %w\n%s", libvirtdName, err, log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (d *daemons) stopLibvirtd() error {
	var err error
	if d.conn != nil {
		_, err = d.conn.Close()
		d.conn = nil
	}
	return errors.Join(err, stopDaemon(d.libvirtd))
}

func (d *daemons) stop() error {
	return errors.Join(d.stopLibvirtd(), stopDaemon(d.virtlogd))
}

// startDaemon starts it in a session of its own, out of reach of Ctrl-C, and
// with a log in the scratch directory.
func startDaemon(name string, args ...string) (*exec.Cmd, error) {
	log, err := os.OpenFile(daemonLog(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return cmd, nil
}

func daemonLog(name string) string { return filepath.Join(scratch, filepath.Base(name)+".log") }

// showLibvirtdLog prints the end of what libvirtd said, and keeps the whole of it:
// where a test breaks things on purpose, that is thousands of lines.
func showLibvirtdLog() {
	const shown = 20
	log, err := os.ReadFile(daemonLog(libvirtdName))
	if err != nil || len(log) == 0 {
		return
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	kept, err := os.CreateTemp("", "vmhuge-libvirtd-*.log")
	if err == nil {
		_, err = kept.Write(log)
		err = errors.Join(err, kept.Close())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "libvirtd's log can't be kept: %v\n", err)
		return
	}
	fmt.Fprintf(os.Stderr, "libvirtd's last words, of %d lines in %s:\n%s\n",
		len(lines), kept.Name(), strings.Join(lines[max(0, len(lines)-shown):], "\n"))
}

func stopDaemon(cmd *exec.Cmd) error {
	if cmd == nil {
		return nil
	}
	_ = cmd.Process.Signal(unix.SIGTERM)
	hung := time.AfterFunc(hangs, func() { _ = cmd.Process.Kill() })
	defer hung.Stop()
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && filepath.Base(cmd.Path) == libvirtdName {
		// Told to end while it still initializes its drivers, libvirt 7.0 crashes, and 11.3 returns
		// 1. It answers before it has done that, and how it ends is not what is tested here.
		if exit.ExitCode() == 1 || exit.Sys().(syscall.WaitStatus).Signal() == unix.SIGSEGV {
			fmt.Fprintln(os.Stderr, "integration tests: "+libvirtdName+", told to end:", err)
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("stopping %s: %w", cmd.Path, err)
	}
	return nil
}

// alive tells a running child from a zombie, which a signal cannot.
func alive(cmd *exec.Cmd) bool {
	info := unix.Siginfo{}
	err := unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo == 0
}

// restartLibvirtd makes libvirtd read its configuration and the mounts anew.
// Guests keep running.
func restartLibvirtd(t *testing.T) {
	t.Helper()
	if err := errors.Join(libvirtd.stopLibvirtd(), libvirtd.startLibvirtd()); err != nil {
		t.Fatal(err)
	}
	// libvirtd answers before it has found its guests again. A guest that is
	// destroyed while it does so is reported as not running.
	guests, err := libvirtd.conn.ListAllDomains(libvirt.CONNECT_LIST_DOMAINS_ACTIVE)
	if err != nil {
		t.Fatal(err)
	}
	for i := range guests {
		waitUntil(t, "libvirtd has found its guest again", func() bool {
			control, err := guests[i].GetControlInfo(0)
			return err == nil && control.State == libvirt.DOMAIN_CONTROL_OK
		})
		_ = guests[i].Free()
	}
}

// destroyLeftovers ends what a test left behind, and calls that an error.
func destroyLeftovers() (err error) {
	if libvirtd.conn == nil {
		return errors.New("libvirtd was not running at the end")
	}
	all, err := libvirtd.conn.ListAllDomains(0)
	if err != nil {
		return err
	}
	for i := range all {
		name, _ := all[i].GetName()
		err = errors.Join(err, fmt.Errorf("guest %s was left behind", name))
		_ = all[i].Destroy()
		_ = all[i].Free()
	}
	return err
}
