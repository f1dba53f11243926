package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// Every command says what it does, with which files, how it ends, and how it is
// used; a file or a code without words of its own is in the lists of manual.go.
func TestManual(t *testing.T) {
	walk(t, func(t *testing.T, app *cli.App, path []string, command *cli.Command) {
		if command.Hidden || slices.ContainsFunc(path, func(name string) bool { return strings.HasPrefix(name, "__") }) {
			return
		}
		m := readManual(command.Description)
		if m.text == "" || len(m.files) == 0 || len(m.exits) == 0 || command.UsageText == "" {
			t.Errorf("text %q, files %v, exits %v, examples %q: one of them is missing", m.text, m.files, m.exits, command.UsageText)
		}
		for _, e := range slices.Concat(m.files, m.exits) {
			if e.text == "" {
				t.Errorf("%s has no words, here or in manual.go", e.name)
			}
		}
		for line := range strings.Lines(m.text) {
			if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > 88 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
		if len(path) == 1 && command.Category == "" {
			t.Error("it is in no group of the program's help")
		}
	})
}

// The README lists the files that vmhuge writes, as the program's man page does.
func TestFilesInREADME(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range ownFiles() {
		if !strings.Contains(string(readme), "`"+file.name+"`") {
			t.Errorf("README.md does not list %s", file.name)
		}
	}
}

func TestBadValues(t *testing.T) {
	for line, want := range map[string]string{
		"prepare --pages x":    `--pages: "x" is not a whole number`,
		"prepare --pages=1.5":  `--pages: "1.5" is not a whole number`,
		"bench --seconds soon": `--seconds: "soon" is not a number`,
		"stop a --force=maybe": `--force: "maybe" is not true or false`,
		"--json=2 status":      `--json: "2" is not true or false`,
	} {
		code, _, stderr := try(t, strings.Fields(line)...)
		if code != exitUsage || !strings.HasPrefix(stderr, "vmhuge: command line: "+want+"; see vmhuge") {
			t.Errorf("%s: %d\n%s", line, code, stderr)
		}
	}
}
