package lab

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what has passed to docs/tested.md")

const (
	page  = "../../docs/tested.md"
	begin = "<!-- ./just lab writes from here -->\n"
	end   = "<!-- to here -->\n"
)

// columns are the suites, in the order of the page's table.
var columns = []string{"bullseye", "bookworm", "trixie", "trixie-backports", "trixie-selinux", "trixie-virtqemud"}

// document writes into the page's table, with -update, that the lab's test has passed today,
// and with which versions.
func (l *lab) document() {
	column := slices.Index(columns, suite())
	if !*update || column < 0 || l.t.Failed() || l.t.Skipped() {
		return
	}
	versions := l.Must(`echo $(` + daemon() + ` --version; qemu-system-x86_64 --version | head -n 1; uname -r)`)
	found := regexp.MustCompile(`libvirt\) (\S+) .* version (\d+\.\d+).* (\d+\.\d+)\S*$`).FindStringSubmatch(versions)
	if found == nil {
		l.t.Fatalf("the versions are %q", versions)
	}
	text, err := os.ReadFile(page)
	before, rest, ok := strings.Cut(string(text), begin)
	table, after, closed := strings.Cut(rest, end)
	if err != nil || !ok || !closed {
		l.t.Fatalf("%s lacks %q or %q: %v", page, begin, end, err)
	}
	table = withCell(table, "libvirt, QEMU, Linux", column, strings.Join(found[1:], ", "))
	table = withCell(table, l.t.Name(), column, time.Now().UTC().Format(time.DateOnly))
	if err := os.WriteFile(page, []byte(before+begin+table+end+after), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

// withCell is a table with a cell of a row, whose name is in the first column; a row that is not
// there yet goes last.
func withCell(table, row string, column int, cell string) string {
	lines := strings.SplitAfter(strings.TrimSuffix(table, "\n"), "\n")
	i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "| "+row+" |") })
	if i < 0 {
		i, lines = len(lines), append(lines, "| "+row+strings.Repeat(" |", strings.Count(lines[0], "|")-1))
		lines[i-1] = strings.TrimSuffix(lines[i-1], "\n") + "\n"
	}
	cells := strings.Split(lines[i], "|")
	cells[2+column] = " " + cell + " "
	lines[i] = strings.Join(cells, "|")
	return strings.TrimSuffix(strings.Join(lines, ""), "\n") + "\n"
}

func TestTable(t *testing.T) {
	table := "| test | 11 | 12 | 13 | b | s |\n|---|---|---|---|---|---|\n| TestA | | x | | | |\n"
	table = withCell(withCell(withCell(table, "TestA", 2, "y"), "TestB", 4, "z"), "TestA", 1, "w")
	if want := "| test | 11 | 12 | 13 | b | s |\n|---|---|---|---|---|---|\n| TestA | | w | y | | |\n| TestB | | | | | z |\n"; table != want {
		t.Errorf("%s\nwant\n%s", table, want)
	}
}
