package matrix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// outcome is what came of a test or of a row of its table.
type outcome struct{ name, action, reason string }

type results struct {
	libvirt, qemu string
	tests         []outcome
}

var (
	logged = regexp.MustCompile(`^\s*\w+_test\.go:\d+: (.*)`)
	ends   = []string{"pass", "fail", "skip"}

	// A test in a micro-VM, of which the one that boots it prints the output.
	inside = regexp.MustCompile(`^\s*microvm_test\.go:\d+: \s*--- (PASS|FAIL|SKIP): TestMicroVMPagesOf1GiB/(\S+) \(`)
)

const (
	leftOut   = "TestMicroVMPagesOf1GiB runs it" // ends the reason of a row for which this machine has no pages of 1 GiB
	inMicroVM = "in a micro-VM"                  // begins that of one that has run there
)

// parse reads what a test binary prints with -test.v=test2json.
func parse(t *testing.T, said io.Reader) (found results) {
	t.Helper()
	cmd := exec.Command("go", "tool", "test2json")
	cmd.Stdin = said
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]string{}
	for lines := json.NewDecoder(bytes.NewReader(out)); lines.More(); {
		var event struct{ Action, Test, Output string }
		if err := lines.Decode(&event); err != nil {
			t.Fatal(err)
		}
		if row := inside.FindStringSubmatch(event.Output); row != nil {
			found.tests = append(found.tests, outcome{name: row[2], action: strings.ToLower(row[1])})
		}
		if line := logged.FindStringSubmatch(event.Output); line != nil {
			last[event.Test] = line[1]
		}
		if event.Test != "" && slices.Contains(ends, event.Action) {
			found.tests = append(found.tests, outcome{event.Test, event.Action, last[event.Test]})
		}
	}
	return found
}

// left are the rows that wait for a micro-VM.
func (r results) left() (rows []string) {
	for _, o := range r.tests {
		if _, row, in := strings.Cut(o.name, "/"); in && strings.HasSuffix(o.reason, leftOut) {
			rows = append(rows, row)
		}
	}
	return rows
}

// add puts the outcomes of a micro-VM in the place of those rows that were left to it.
func (r results) add(inside results) {
	for i, o := range r.tests {
		table := strings.ToLower(strings.TrimPrefix(o.name, "Test"))
		if n := slices.IndexFunc(inside.tests, func(n outcome) bool { return strings.ToLower(n.name) == table }); n >= 0 && strings.HasSuffix(o.reason, leftOut) {
			r.tests[i].action, r.tests[i].reason = inside.tests[n].action, inMicroVM+": "+strings.TrimSuffix(o.reason, ": "+leftOut)
		}
	}
}

// of are the outcomes of a suite. A test with a table counts by its rows, and itself only
// if it fails although they pass.
func (r results) of(s suite) (these []outcome) {
	for _, o := range r.tests {
		test, _, _ := strings.Cut(o.name, "/")
		within := func(action string) bool {
			return slices.ContainsFunc(r.tests, func(row outcome) bool {
				return strings.HasPrefix(row.name, o.name+"/") && (action == "" || row.action == action)
			})
		}
		if slices.Contains(s.tests, test) && (!within("") || o.action == "fail" && !within("fail")) {
			these = append(these, o)
		}
	}
	return these
}

// summary is a cell of the table: 187 passed, 2 failed, 14 skipped.
func summary(these []outcome) string {
	var parts []string
	count := func(word string, such func(outcome) bool) {
		if n := len(slices.DeleteFunc(slices.Clone(these), func(o outcome) bool { return !such(o) })); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	left := func(o outcome) bool { return o.action == "skip" && strings.HasSuffix(o.reason, leftOut) }
	count("passed", func(o outcome) bool { return o.action == "pass" })
	count("failed", func(o outcome) bool { return o.action == "fail" })
	count("skipped", func(o outcome) bool { return o.action == "skip" && !left(o) })
	count("not run for want of pages of 1 GiB", left)
	return strings.Join(parts, ", ")
}

func (r results) lines() (lines []string) {
	for _, s := range suites {
		lines = append(lines, s.name+": "+summary(r.of(s)))
	}
	for _, n := range r.notes() {
		lines = append(lines, strings.Join(n, ": "))
	}
	return lines
}

// notes are the tests that did not run, or not on this machine, or failed: their suite, their names, and why.
func (r results) notes() (notes [][]string) {
	for _, s := range suites {
		for _, o := range r.of(s) {
			why := "FAILED"
			switch {
			case o.action == "skip":
				why = "skipped: " + strings.ReplaceAll(o.reason, "|", "\\|")
			case o.action == "pass" && strings.HasPrefix(o.reason, inMicroVM):
				why = "passed " + o.reason
			case o.action == "pass":
				continue
			}
			which := o.name[strings.LastIndex(o.name, "/")+1:]
			if i := slices.IndexFunc(notes, func(n []string) bool { return n[0] == s.name && n[2] == why }); i >= 0 {
				notes[i][1] += ", " + which
				continue
			}
			notes = append(notes, []string{s.name, which, why})
		}
	}
	return notes
}

const (
	page  = "../../docs/tested.md"
	begin = "<!-- ./just matrix writes from here -->\n"
	end   = "<!-- to here -->\n"
)

// document puts a release's lines into both tables of the page; those of others stay.
func document(t *testing.T, name string, found results) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	written, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s lacks %q and %q", page, begin, end)
	}
	first, second, _ := strings.Cut(written, "\n\n")
	first, second = found.tables(name, []string{found.libvirt, found.qemu, kernel(t), time.Now().UTC().Format(time.DateOnly)}, first+"\n", second)
	written = first + "\n" + second
	if err := os.WriteFile(page, []byte(before+begin+written+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tables are both, with new lines for a release, which begins with those cells.
func (r results) tables(name string, cells []string, first, second string) (string, string) {
	head := "| host | libvirt | QEMU | Linux | on |"
	for _, s := range suites {
		head += " " + s.name + " |"
		cells = append(cells, summary(r.of(s)))
	}
	return table(head, first, name, cells), table("| host | suite | which | why |", second, name, r.notes()...)
}

// table is a table of the page with new lines for a release, in the order of the releases.
func table(head, old, name string, lines ...[]string) string {
	out := head + "\n|" + strings.Repeat("---|", strings.Count(head, "|")-1) + "\n"
	for _, r := range rows {
		if r.name == name {
			for _, cells := range lines {
				out += "| " + name + " | " + strings.Join(cells, " | ") + " |\n"
			}
			continue
		}
		for line := range strings.Lines(old) {
			if strings.HasPrefix(line, "| "+r.name+" |") {
				out += line
			}
		}
	}
	return out
}

// kernel is the version of this machine's, without what its builder has added.
func kernel(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`^\d+\.\d+`).FindString(string(text))
}
