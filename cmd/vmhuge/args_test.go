package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
)

// try runs the whole program in this process.
func try(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(append([]string{"vmhuge", "--root", t.TempDir()}, args...), strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

// walk visits every command that the program has.
func walk(t *testing.T, visit func(t *testing.T, app *cli.App, path []string, command *cli.Command)) {
	var down func(path []string)
	down = func(path []string) {
		app := (&program{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}).app()
		command, below := (*cli.Command)(nil), app.Commands
		for _, name := range path {
			command = find(below, name)
			below = command.Subcommands
		}
		if command != nil {
			t.Run(strings.Join(path, " "), func(t *testing.T) { visit(t, app, path, command) })
		}
		for _, c := range below {
			down(append(slices.Clip(path), c.Name))
		}
	}
	down(nil)
}

// Flags behind names are flags: else `start web1 --dry-run` would start web1,
// and then a domain of the name --dry-run.
func TestFlagsAfterNames(t *testing.T) {
	dry := []string{}
	walk(t, func(t *testing.T, app *cli.App, path []string, command *cli.Command) {
		if len(command.Subcommands) > 0 {
			return
		}
		args := append([]string{"vmhuge"}, path...)
		args = append(args, "web1")
		for _, flag := range command.Flags {
			args = append(args, "--"+flag.Names()[0])
			if _, optional := flag.(*optionalFlag); !optional && takesValue(flag) {
				args = append(args, "7")
			}
		}
		args = append(args, "web2", "-q", "-c", "test:///default", "--", "--dry-run", "-x")
		var names []string
		command.Action = func(c *cli.Context) error {
			names = c.Args().Slice()
			for _, flag := range command.Flags {
				if !c.IsSet(flag.Names()[0]) {
					t.Errorf("--%s is not read as a flag", flag.Names()[0])
				}
			}
			if !c.Bool("quiet") || c.String("connect") != "test:///default" {
				t.Error("the flags of every command are not read")
			}
			if lookup(command.Flags, "dry-run") != nil {
				dry = append(dry, strings.Join(path, " "))
				if !c.Bool("dry-run") {
					t.Error("the command would act")
				}
			}
			return nil
		}
		ordered, _, err := reorder(app, args)
		if err == nil {
			err = app.Run(ordered)
		}
		if diff := cmp.Diff([]string{"web1", "web2", "--dry-run", "-x"}, names); err != nil || diff != "" {
			t.Errorf("%v\n%q became %q\n%s", err, args, ordered, diff)
		}
	})
	for _, changes := range []string{"enable", "disable", "prepare", "start", "undo", "xml enable", "xml disable", "hook install", "hook remove"} {
		if !slices.Contains(dry, changes) {
			t.Errorf("%s has no --dry-run", changes)
		}
	}
}

func TestReorder(t *testing.T) {
	for line, want := range map[string]string{
		"":                              "",
		"--":                            "",
		"status":                        "status",
		"enable a b":                    "enable -- a b",
		"enable a --dry-run b":          "enable --dry-run -- a b",
		"enable a --size 1G":            "enable --size 1G -- a",
		"enable a --size=1G":            "enable --size=1G -- a",
		"enable a -size 1G":             "enable -size 1G -- a",
		"enable --size --dry-run a":     "enable --size --dry-run -- a", // the value is what comes next
		"enable -- --dry-run a":         "enable -- --dry-run a",
		"enable a -- b --json":          "enable -- a b --json",
		"enable a --json -c U":          "--json -c U enable -- a",
		"-c U --json enable a":          "-c U --json enable -- a",
		"xml enable -":                  "xml enable -- -",
		"prepare --mount-group=a web1":  "prepare --mount-group=a -- web1",
		"prepare --mount-group web1":    "prepare --mount-group= -- web1",
		"prepare --mount-group root a":  "prepare --mount-group=root -- a", // a group of every host
		"prepare a --mount-group":       "prepare --mount-group= -- a",
		"xml --json enable f --size 2M": "--json xml enable --size 2M -- f",
		"xml enable enable":             "xml enable -- enable",
		"start start check":             "start -- start check", // domains of these names
		"enable --version":              "--version enable",
		"enable --help":                 "help -- enable",
		"enable a -h":                   "help -- enable",
		"-h xml enable a":               "help -- xml enable",
		"enable a --size 1G --help -q":  "-q help -- enable",
		"--help":                        "help",
		"enable -- --help":              "enable -- --help",
		"help xml enable":               "help -- xml enable",
	} {
		app := (&program{}).app()
		got, _, err := reorder(app, strings.Fields("vmhuge "+line))
		if text := strings.Join(got, " "); err != nil || text != strings.TrimSpace("vmhuge "+want) {
			t.Errorf("%q: %q, %v, not %q", line, text, err, want)
		}
	}
	for line, want := range map[string]string{
		"enable a --nope":    "there is no flag --nope",
		"enable a --nope=1":  "there is no flag --nope=1",
		"--dry-run enable a": "there is no flag --dry-run",
		"start --size 1G a":  "there is no flag --size",
		"enable a -5":        "there is no flag -5: a name that begins with - goes after --",
		"enable a --dryrun":  "there is no flag --dryrun (did you mean --dry-run?)",
		"xml enable -x.xml":  "there is no flag -x.xml: a name that begins with - goes after --",
		"hook install -5":    "there is no flag -5",
		"explain -object memory-backend-ram,id=a: cannot": "there is no flag -object (did you mean --connect?): a text that begins with - goes after --, or to standard input: vmhuge explain -- TEXT",
		"explain qemu-kvm: -m 4G: cannot":                 "there is no flag -m: a text that begins with - goes after --, or to standard input: vmhuge explain -- TEXT",
		"nope a --json":                                   `there is no command "nope"`,
		"nope --help":                                     `there is no command "nope"`,
		"xml nope -h":                                     `there is no command "xml nope"`,
		// urfave/cli would run these, with --dry-run for a name.
		"-- start a --dry-run":    `there is no command "start"`,
		"xml -- enable --dry-run": `there is no command "xml enable"`,
		"enable a --size":         "the flag --size needs a value",
		"-c":                      "the flag -c needs a value",
	} {
		app := (&program{}).app()
		if got, _, err := reorder(app, strings.Fields("vmhuge "+line)); err == nil || !strings.Contains(err.Error(), want) || codeOf(err) != exitUsage {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
	if got, _, err := reorder((&program{}).app(), nil); err != nil || len(got) > 0 {
		t.Errorf("of nothing: %q, %v", got, err)
	}
}

// Every command explains itself, with names beside --help too.
func TestHelp(t *testing.T) {
	walk(t, func(t *testing.T, _ *cli.App, path []string, command *cli.Command) {
		name := strings.Join(path, " ")
		lines := [][]string{
			append(slices.Clone(path), "--help"),
			append(slices.Clone(path), "-h"),
			append([]string{"--help"}, path...),
			append([]string{"help"}, path...),
		}
		if len(command.Subcommands) == 0 {
			lines = append(lines, append(slices.Clone(path), "web1", "--help", "web2"))
		}
		for _, args := range lines {
			code, stdout, stderr := try(t, args...)
			if code != exitDone || stderr != "" || !strings.HasPrefix(stdout, "vmhuge "+name+": "+command.Usage) {
				t.Errorf("%q: %d\n%s\n%s", args, code, stdout, stderr)
			}
			for _, flag := range command.Flags {
				if visible, ok := flag.(cli.VisibleFlag); ok && !visible.IsVisible() {
					continue
				}
				if !strings.Contains(stdout, "--"+flag.Names()[0]) {
					t.Errorf("%q: nothing about --%s", args, flag.Names()[0])
				}
			}
			if !command.Hidden && !strings.Contains(stdout, "\nexamples:\n") {
				t.Errorf("%q: no example", args)
			}
			for line := range strings.Lines(stdout) {
				if len([]rune(line)) > 101 || strings.Contains(line, "--root") || strings.Contains(line, "`") {
					t.Errorf("%q: %s", args, line)
				}
			}
		}
	})
}

// An example that a user copies is a command line that vmhuge takes.
func TestExamples(t *testing.T) {
	walk(t, func(t *testing.T, app *cli.App, path []string, command *cli.Command) {
		own := command.Hidden || len(command.Subcommands) > 0
		for line := range strings.Lines(command.UsageText) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "   ") // what it does
			for _, part := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune("|()<>", r) }) {
				args := strings.Fields(part)
				if len(args) == 0 || args[0] != "vmhuge" {
					continue
				}
				l, err := readLine(app, args[1:])
				if err != nil {
					t.Errorf("%s: %v", line, err)
				}
				own = own || slices.Equal(l.path, path)
			}
		}
		if !own {
			t.Error("none is of this command")
		}
	})
}

// A wrong flag is told on stderr alone, in one line that names the command's
// help; with --json on stdout alone.
func TestUsageErrors(t *testing.T) {
	walk(t, func(t *testing.T, _ *cli.App, path []string, command *cli.Command) {
		wrong := []string{"--nope", "---json", "--connect"}
		for _, flag := range command.Flags {
			if _, optional := flag.(*optionalFlag); optional {
				continue // right without a value, and any may be one
			}
			if takesValue(flag) {
				wrong = append(wrong, "--"+flag.Names()[0])
			} else {
				wrong = append(wrong, "--"+flag.Names()[0]+"=maybe")
			}
		}
		name := "vmhuge " + strings.Join(path, " ")
		if command.Name == "help" {
			name = "vmhuge"
		}
		for _, flag := range wrong {
			args := append(slices.Clone(path), flag)
			code, stdout, stderr := try(t, args...)
			if code != exitUsage || stdout != "" || !strings.HasPrefix(stderr, "vmhuge: command line: ") || !strings.HasSuffix(stderr, "; see "+name+" --help\n") || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%q: %d\n%s\n%s", args, code, stdout, stderr)
			}
			args = append([]string{"--json"}, args...)
			code, stdout, stderr = try(t, args...)
			if code != exitUsage || stderr != "" || !strings.HasPrefix(stdout, `{"error":{"what":"command line","why":"`) || !strings.HasSuffix(stdout, `"},"version":1}`+"\n") {
				t.Errorf("%q: %d\n%s\n%s", args, code, stdout, stderr)
			}
		}
	})
}

// A domain may be called as the commands that urfave/cli would add.
func TestDomainNamedHelp(t *testing.T) {
	for _, name := range []string{"help", "h", "enable"} {
		code, stdout, stderr := try(t, "-c", "test:///default", "enable", name)
		if want := `vmhuge: domain "` + name + `": there is no such domain; virsh list --all shows the domains that exist` + "\n"; code != exitFailed || stdout != "" || stderr != want {
			t.Errorf("%s: %d\n%s\n%s", name, code, stdout, stderr)
		}
	}
}

func TestTimeout(t *testing.T) {
	for text, want := range map[string]string{"60": "1m0s", "0": "0s", "90s": "1m30s", "5m": "5m0s", "1.5s": "1.5s"} {
		if got, err := parseTime("timeout", text); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "soon", "-1", "-5s", "1 minute", "99999999999999999999"} {
		if got, err := parseTime("timeout", text); err == nil || codeOf(err) != exitUsage {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}
