package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the expected output in testdata/script anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vmhuge": func() {
		// A script sees the host in its folder host, and can't forget to.
		args := slices.Insert(slices.Clone(os.Args), 1, "--root", os.Getenv("VMHUGE_TEST_ROOT"))
		os.Exit(run(args, os.Stdin, os.Stdout, os.Stderr))
	}})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: *update,
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Condition: func(name string) (bool, error) {
			switch name {
			case "zsh", "fish", "mandoc", "groff":
				_, err := exec.LookPath(name)
				if err != nil && os.Getenv("CI") != "" {
					return false, fmt.Errorf("it needs %s; run: sudo ./just deps", name)
				}
				return err == nil, nil
			case "root":
			default:
				return false, fmt.Errorf("there is no condition %q", name)
			}
			if os.Getuid() != 0 && os.Getenv("CI") != "" {
				return false, errors.New("it needs root; run: sudo ./just test")
			}
			return os.Getuid() == 0, nil
		},
		Setup: func(env *testscript.Env) error {
			root := filepath.Join(env.WorkDir, "host")
			state := filepath.Join(env.WorkDir, "state")
			copies := filepath.Join(state, "vmhuge", "domains")
			if os.Getuid() == 0 {
				copies = filepath.Join(root, "var", "lib", "vmhuge", "domains")
			}
			env.Vars = append(env.Vars, "VMHUGE_TEST_ROOT="+root, "XDG_STATE_HOME="+state,
				"COPIES="+copies, // where enable keeps the former XML
				// No script meets a libvirtd; those that need domains take libvirt's
				// test driver, which runs in the process.
				"LIBVIRT_DEFAULT_URI=qemu+unix:///system?socket=/nonexistent",
				"NEWLINE=new\nline", "ESCAPE=\x1b[31mred")
			return os.MkdirAll(root, 0o755)
		},
	})
}

// exits runs a command and wants this exit code of it: exits 2 vmhuge enable.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if args[0] != strconv.Itoa(code) {
		ts.Fatalf("it exits with %d, not %s", code, args[0])
	}
}
