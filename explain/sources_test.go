package explain

import (
	"bufio"
	"cmp"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sources is a folder with the unpacked sources of libvirt, QEMU and glibc, a folder
// each: libvirt-9.0.0, qemu-7.2.0. ./just messages gets them.
var sources = flag.String("sources", "", "with -update: `FOLDER` of the sources that messages and translations are from")

// message is one that a program may print.
type message struct {
	text     string // with printf's verbs
	file     string // where it is, in the newest version
	versions []string
}

// trees returns the unpacked versions of a program, the oldest first.
func trees(t *testing.T, program string) []string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(*sources, program+"-*"))
	slices.SortFunc(found, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(major(a)), len(major(b))), cmp.Compare(major(a), major(b)))
	})
	if len(found) == 0 {
		t.Fatalf("%s has no %s-VERSION", *sources, program)
	}
	return found
}

func major(tree string) string {
	_, version, _ := strings.Cut(filepath.Base(tree), "-")
	number, _, _ := strings.Cut(version, ".")
	return number
}

// label is a version as people name it: libvirt 9.0.
func label(tree string) string {
	program, version, _ := strings.Cut(filepath.Base(tree), "-")
	parts := strings.SplitN(version, ".", 3)
	return program + " " + strings.Join(parts[:2], ".")
}

// collect joins what the versions of a program say.
func collect(t *testing.T, program string, in func(t *testing.T, tree string) map[string]string) []message {
	t.Helper()
	all := map[string]*message{}
	for _, tree := range trees(t, program) {
		for text, file := range in(t, tree) {
			if all[text] == nil {
				all[text] = &message{text: text}
			}
			all[text].file = file
			all[text].versions = append(all[text].versions, label(tree))
		}
	}
	var list []message
	for _, m := range all {
		list = append(list, *m)
	}
	return list
}

// libvirtMessages are those of libvirt's .pot, by their file. What numbers the verbs
// is taken out, so that one message is one in all versions.
func libvirtMessages(t *testing.T, tree string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, e := range readPO(t, filepath.Join(tree, "po", "libvirt.pot")) {
		if strings.HasPrefix(e.file, "src/") {
			found[unnumbered(e.id)] = e.file
		}
	}
	return found
}

var numberOfVerb = regexp.MustCompile(`%[0-9]\$`)

func unnumbered(text string) string { return numberOfVerb.ReplaceAllString(text, "%") }

type entry struct{ file, id, str string }

// readPO reads gettext's .po, with what is marked obsolete: older versions say it.
func readPO(t *testing.T, path string) []entry {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []entry
	var e entry
	var into *string
	fuzzy := false
	flush := func() {
		if e.id != "" && !fuzzy {
			all = append(all, e)
		}
		e, into, fuzzy = entry{}, nil, false
	}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimPrefix(strings.TrimPrefix(lines.Text(), "#~ "), "#~")
		switch {
		case strings.HasPrefix(line, "#: "):
			if e.file == "" {
				e.file, _, _ = strings.Cut(strings.Fields(line[3:])[0], ":")
			}
			continue
		case strings.HasPrefix(line, "#,") && strings.Contains(line, "fuzzy"):
			fuzzy = true
			continue
		case strings.HasPrefix(line, "msgid "):
			if e.id != "" {
				flush()
			}
			into, line = &e.id, line[6:]
		case strings.HasPrefix(line, "msgid_plural "):
			into = nil
		case strings.HasPrefix(line, "msgstr "):
			into, line = &e.str, line[7:]
		case strings.HasPrefix(line, "msgstr[0] "):
			into, line = &e.str, line[10:]
		case strings.TrimSpace(line) == "":
			flush()
			continue
		}
		if into != nil && strings.HasPrefix(line, `"`) {
			*into += unquoteC(strings.TrimSuffix(line[1:], `"`))
		}
	}
	flush()
	return all
}

var unquoteC = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\n`, "\n", `\t`, "\t").Replace

// notRun are folders of QEMU's that are not of the emulator of a system.
var notRun = []string{"/linux-user/", "/bsd-user/", "/contrib/", "/tests/", "/tools/", "/scripts/", "/disas/", "/slirp/", "/pc-bios/", "/qga/", "/storage-daemon/"}

// qemuMessages are what QEMU's sources hand to the functions that report errors.
func qemuMessages(t *testing.T, tree string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".c") && !strings.HasSuffix(path, ".h") {
			return err
		}
		file := strings.TrimPrefix(path, tree)
		if slices.ContainsFunc(notRun, func(no string) bool { return strings.HasPrefix(file, no) }) {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, at := range reporting.FindAllIndex(source, -1) {
			if text := firstLiteral(string(source[at[1]:min(len(source), at[1]+2000)])); text != "" {
				found[text] = file[1:]
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var reporting = regexp.MustCompile(`\b(?:error_setg|error_setg_errno|error_report|error_report_once|warn_report|warn_report_once|info_report|error_prepend|error_append_hint|error_printf|error_printf_unless_qmp|perror|error_vreport)\s*\(|\bfprintf\s*\(\s*stderr\s*,`)

// firstLiteral is the first string among the arguments of a call, joined as the
// compiler does; a macro in it, such as PRIx64, is the rest of a verb.
func firstLiteral(arguments string) string {
	var text strings.Builder
	depth, began := 0, false
	for i := 0; i < len(arguments); i++ {
		switch c := arguments[i]; {
		case c == '"':
			began = true
			end := i + 1
			for end < len(arguments) && arguments[end] != '"' {
				if arguments[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(arguments) {
				return ""
			}
			literal := unquoteC(arguments[i+1 : end])
			if s := text.String(); openVerb.MatchString(s) {
				text.WriteString("u")
			}
			text.WriteString(literal)
			i = end
		case c == '(':
			depth++
		case c == ')' && depth == 0, c == ',' && depth == 0 && began, c == ';':
			if openVerb.MatchString(text.String()) {
				text.WriteString("u")
			}
			return strings.Join(strings.Fields(text.String()), " ")
		case c == ')':
			depth--
		}
	}
	return ""
}

// openVerb is a verb whose letter a macro has.
var openVerb = regexp.MustCompile(`%[-+#0-9.]*$`)
