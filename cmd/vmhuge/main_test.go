package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"vmhuge/docs/schema"
)

var update = flag.Bool("update", false, "write the expected output in testdata/script anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vmhuge": func() {
		// A script sees the host in its folder host, and can't forget to.
		args := slices.Insert(slices.Clone(os.Args), 1, "--root", os.Getenv("VMHUGE_TEST_ROOT"))
		if !asksJSON(args) {
			os.Exit(run(args, os.Stdin, os.Stdout, os.Stderr))
		}
		var stdout, stderr strings.Builder
		code := run(args, os.Stdin, io.MultiWriter(os.Stdout, &stdout), io.MultiWriter(os.Stderr, &stderr))
		if err := schema.CheckRun(os.Args[1:], code, stdout.String(), stderr.String()); err != nil {
			os.Exit(badAnswer(err))
		}
		os.Exit(code)
	}})
}

// badAnswer lets TestScripts fail, whatever the script makes of the exit code.
func badAnswer(err error) int {
	f, openErr := os.CreateTemp(os.Getenv("VMHUGE_TEST_BAD_ANSWERS"), "")
	if openErr == nil {
		_, openErr = fmt.Fprintf(f, "vmhuge %q: %v", os.Args[1:], err)
	}
	fmt.Fprintln(os.Stderr, err, openErr)
	return 99
}

// leftOut says that just unit runs the tests: it leaves out what needs programs of deps-test.
func leftOut() bool { return testing.Short() && os.Getenv("CI") == "" }

func TestScripts(t *testing.T) {
	badAnswers := t.TempDir()
	t.Cleanup(func() {
		files, _ := filepath.Glob(filepath.Join(badAnswers, "*"))
		for _, file := range files {
			text, err := os.ReadFile(file)
			t.Errorf("%s %v", text, err)
		}
	})
	collections := t.TempDir() // as Ansible looks for them
	here, err := filepath.Abs(filepath.Join("..", "..", "ansible"))
	if err := errors.Join(err, os.MkdirAll(filepath.Join(collections, "ansible_collections", "vmhuge"), 0o755),
		os.Symlink(here, filepath.Join(collections, "ansible_collections", "vmhuge", "host"))); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: *update,
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Condition: func(name string) (bool, error) {
			switch name {
			case "zsh", "fish", "mandoc", "groff", "ansible":
				if leftOut() {
					return false, nil
				}
				_, err := exec.LookPath(name)
				if err != nil && os.Getenv("CI") != "" {
					return false, fmt.Errorf("it needs %s; run: sudo ./just deps-test", name)
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
			env.Vars = append(env.Vars, "VMHUGE_TEST_ROOT="+root, "VMHUGE_TEST_BAD_ANSWERS="+badAnswers, "XDG_STATE_HOME="+state,
				"ANSIBLE_COLLECTIONS_PATHS="+collections,
				"COPIES="+copies, // where enable keeps the former XML
				"GOGC=off",       // a run ends before it has much to collect
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
