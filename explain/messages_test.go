package explain

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ofMemory are the messages that the table must know, or leave out on purpose.
var ofMemory = regexp.MustCompile(`(?i)memory|huge ?page|hugetlb|backing|guest RAM|\bRAM page|memfd|DMA mapping|vdpa map|failed to write, fd`)

// TestMessages holds the table to every message on memory, huge pages or backing in
// the sources of libvirt and QEMU: testdata/messages.tsv has the row that knows it,
// or why none does. With -update the rows and reasons are written anew, with -sources the
// messages too.
func TestMessages(t *testing.T) {
	const path = "testdata/messages.tsv"
	reasons := readReasons(t)
	if *update && *sources != "" {
		var page strings.Builder
		page.WriteString("# What libvirt and QEMU say of memory, huge pages and backing: ROW, or - and why explain\n# does not know it; the versions that say it; the file; the message. Written by a test.\n")
		all := append(collect(t, "libvirt", libvirtMessages), collect(t, "qemu", qemuMessages)...)
		slices.SortFunc(all, func(a, b message) int { return strings.Compare(a.versions[0][:4]+a.text, b.versions[0][:4]+b.text) })
		for _, m := range all {
			if m.text = strings.Join(strings.Fields(m.text), " "); !ofMemory.MatchString(m.text) {
				continue
			}
			fmt.Fprintf(&page, "%s\t%s\t%s\t%s\n", judged(reasons, m.file, m.text), strings.Join(m.versions, ", "), m.file, m.text)
		}
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	table, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	known, anew := 0, ""
	for line := range strings.Lines(string(table)) {
		if strings.HasPrefix(line, "#") {
			anew += line
			continue
		}
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 4 {
			t.Fatalf("%s: %q", path, line)
		}
		want := judged(reasons, fields[2], fields[3])
		if *update {
			fields[0] = want
		}
		anew += strings.Join(fields, "\t") + "\n"
		switch {
		case strings.HasSuffix(want, "?"):
			t.Errorf("%s says %q: no row knows it, and testdata/unknown.tsv has no reason", fields[2], fields[3])
		case fields[0] != want:
			t.Errorf("%s: %q is %s, and not %s; if that is right: go test ./explain -run TestMessages -update", fields[2], fields[3], want, fields[0])
		case !strings.HasPrefix(want, "-"):
			known++
		}
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(path, []byte(anew), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if known < 50 {
		t.Errorf("only %d messages are known", known)
	}
}

// judged is the rows that know a message, or the reason why none does.
func judged(reasons []reason, file, text string) string {
	rows := map[string]bool{}
	said := examples(text)
	if !strings.HasPrefix(file, "src/") { // QEMU's: its name stands before what it says
		said = "qemu-system-x86_64: " + strings.ReplaceAll(said, "\n", "\nqemu-system-x86_64: ")
	}
	for _, m := range Explain(said) {
		rows[m.ID] = true
	}
	if len(rows) > 0 {
		var list []string
		for _, row := range Rows() {
			if rows[row.ID] {
				list = append(list, row.ID)
			}
		}
		return strings.Join(list, " ")
	}
	for _, r := range reasons {
		if r.pattern.MatchString(file + ": " + text) {
			return "- " + r.why
		}
	}
	return "- ?"
}

// examples are what a message reads like, a line each: with values, and with the
// reasons that the kernel may give.
func examples(text string) string {
	text = strings.NewReplacer("'%s' requires", "'virtiofs' requires", "errno=%d (%s)", "errno=12 (Cannot allocate memory)", "%%", "%").Replace(text)
	var all []string
	for _, value := range []string{"/dev/hugepages/libvirt/qemu/1-web1", "/dev/hugepages", "/var/lib/x", "pc.ram"} {
		said := verb.Get().ReplaceAllStringFunc(text, func(v string) string {
			if strings.HasSuffix(v, "s") {
				return value
			}
			return "2"
		})
		all = append(all, said)
		for _, reason := range []string{"Cannot allocate memory", "Permission denied", "No such file or directory", "No space left on device", "Operation not permitted", "Invalid argument", "Bad address", "Read-only file system", "Function not implemented"} {
			all = append(all, strings.TrimRight(said, ": ")+": "+reason)
		}
	}
	return strings.Join(all, "\n")
}

type reason struct {
	pattern *regexp.Regexp
	why     string
}

// readReasons reads why messages are unknown: a pattern of FILE: TEXT, and the
// reason.
func readReasons(t *testing.T) []reason {
	t.Helper()
	table, err := os.ReadFile("testdata/unknown.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var all []reason
	for line := range strings.Lines(string(table)) {
		pattern, why, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if ok && !strings.HasPrefix(line, "#") {
			all = append(all, reason{regexp.MustCompile(pattern), why})
		}
	}
	return all
}
