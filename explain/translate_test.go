package explain

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// languages are those whose translations are looked for.
var languages = []string{"cs", "de", "es", "fr", "hu", "it", "ja", "ko", "nl", "pl", "pt_BR", "ru", "sv", "tr", "uk", "zh_CN", "zh_TW"}

// namesDomain are the messages that DomainIn reads.
var namesDomain = regexp.MustCompile(`^(Failed to (start|create) domain '?%s'?$|Failed to autostart VM|Domain not found: no domain with matching name)`)

// strerrors are the reasons in the table that are glibc's.
var strerrors = []string{
	"Cannot allocate memory", "Permission denied", "No such file or directory", "No space left on device", "Operation not permitted",
	"Invalid argument", "Bad address", "Read-only file system", "Function not implemented", "Is a directory", "Exec format error",
	"Connection refused", "Device or resource busy", "No such device", "Disk quota exceeded", "Resource temporarily unavailable",
}

// TestTranslations holds every line of translations.tsv to be put back into its
// English words. With -update and -sources the file is written anew.
func TestTranslations(t *testing.T) {
	if *update && *sources != "" {
		if err := os.WriteFile("translations.tsv", []byte(translated(t)), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Skip("translations.tsv is written: run the test again, without -update")
	}
	count := map[string]int{}
	same := map[string][]string{} // some translate two messages into one
	for line := range strings.Lines(translations) {
		if fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(fields) == 3 {
			same[filled(fields[2])] = append(same[filled(fields[2])], fields[1])
		}
	}
	for line := range strings.Lines(translations) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 3 {
			t.Fatalf("%q", line)
		}
		count[fields[0]]++
		foreign := filled(fields[2])
		got := English(Clean("x: " + foreign + "\n"))
		if !slices.ContainsFunc(same[foreign], func(english string) bool { return strings.Contains(squeezed(got), squeezed(Clean(filled(english)))) }) {
			t.Errorf("%s: %q becomes\n%q, and not\n%q", fields[0], foreign, got, fields[1])
		}
	}
	for _, language := range languages {
		if count[language] < len(strerrors) {
			t.Errorf("there are only %d lines of %s", count[language], language)
		}
	}
}

// squeezed leaves out what quotation marks and blanks differ in.
func squeezed(text string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("'", "", `"`, "").Replace(text)), " ")
}

// filled puts values where a message has verbs: the same for the same value.
func filled(text string) string {
	n := 0
	return verb.Get().ReplaceAllStringFunc(text, func(v string) string {
		n++
		if parts := verb.Get().FindStringSubmatch(v); parts[1] != "" {
			return "/p" + parts[1]
		}
		return fmt.Sprintf("/p%d", n)
	})
}

// lacksQEMUsWords says that a message is libvirt's about the end of QEMU's monitor, which a
// reason of the kernel's may follow.
func lacksQEMUsWords(text string) bool {
	return LacksQEMUsWords(filled(text)) || LacksQEMUsWords(text+": Broken pipe")
}

// TestEndOfMonitor has what libvirt says, in English and other languages, when QEMU ended and
// only the domain's log tells why.
func TestEndOfMonitor(t *testing.T) {
	for _, text := range []string{
		"error: internal error: Process exited prior to exec", // that is, before it was QEMU
		"Fehler: Kann nicht vom Monitor lesen: Die Verbindung wurde vom Kommunikationspartner zurückgesetzt",
		"error: No se pudo escribir al monitor: Tubería rota",
		"erreur : Le moniteur QEMU a été fermé",
		"erreur : erreur interne : le processus s'est arrêté pendant la connexion au moniteur",
		"エラー: モニターソケットが出てきませんでした: そのようなファイルやディレクトリはありません",
		"오류: QEMU가 갑자기 모니터를 닫았습니다 (vm='db1')",
		"erro: Não foi possível ler a partir do monitor: Conexão fechada pela outra ponta",
		"ошибка: внутренняя ошибка: QEMU неожиданно завершил работу монитора",
		"помилка: Роботу монітора QEMU було завершено",
		"错误：内部错误：QEMU 意外关闭了监控",
	} {
		if !LacksQEMUsWords(text) {
			t.Errorf("%s is %s", text, English(Clean(text)))
		}
	}
	for _, text := range []string{
		"error: internal error: Process exited prior to exec: libvirt:  error : cannot limit locked memory",
		"ошибка: QEMU неожиданно завершил работу монитора: qemu-system-x86_64: unable to map backing store for guest RAM",
	} {
		if LacksQEMUsWords(text) {
			t.Errorf("%s lacks nothing", text)
		}
	}
}

// older are words that were reported, or that a .po before libvirt 7.0 has, by language: the
// English ones and the others.
var older = map[string][][2]string{"de": {
	{"Cannot allocate memory", "Kann Speicher nicht zuteilen"},
	{"hugetlbfs filesystem is not mounted", "hugetlbfs-Dateisystem ist nicht eingehängt"},
	{"hugepages are disabled by administrator config", "Hugepages sind durch Administratorkonfiguration deaktiviert"},
	{"hugepage backing not supported by '%s'", "Hugepage-Backing wird von '%s' nicht unterstützt"},
	{"unable to find hugetlbfs mountpoint", "hugetlbfs-Einhängepunkt konnte nicht gefunden werden"},
}}

// translated is translations.tsv, from the .po files.
func translated(t *testing.T) string {
	t.Helper()
	var page strings.Builder
	page.WriteString("# LANGUAGE, what it is in English, and its translation: libvirt's and glibc's words, from their .po\n# files (LGPL-2.1-or-later). A test writes this file.\n")
	for _, language := range languages {
		var lines []string
		add := func(english, foreign string) {
			if inOrder(english) && inOrder(foreign) {
				english, foreign = unnumbered(english), unnumbered(foreign)
			}
			if foreign = strings.TrimSuffix(foreign, "\n"); foreign == "" || foreign == english || strings.ContainsAny(english+foreign, "\t\n") {
				return
			}
			if line := language + "\t" + english + "\t" + foreign + "\n"; !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
		for _, tree := range trees(t, "libvirt") {
			path := filepath.Join(tree, "po", language+".po")
			if _, err := os.Stat(path); err != nil {
				continue
			}
			for _, e := range readPO(t, path) {
				if id := unnumbered(e.id); e.str != "" && (namesDomain.MatchString(id) || lacksQEMUsWords(id) || isKnown(id)) {
					add(e.id, e.str)
				}
			}
		}
		for _, tree := range trees(t, "glibc") {
			for _, e := range readPO(t, filepath.Join(tree, "po", language+".po")) {
				if slices.Contains(strerrors, e.id) {
					add(e.id, e.str)
				}
			}
		}
		for _, words := range older[language] {
			add(words[0], words[1])
		}
		slices.Sort(lines)
		page.WriteString(strings.Join(lines, ""))
	}
	return page.String()
}

// inOrder says that the values of a message stand in the order of their numbers, so
// that it is what older versions say, which have none.
func inOrder(text string) bool {
	for i, v := range verb.Get().FindAllStringSubmatch(text, -1) {
		if v[1] != "" && v[1] != fmt.Sprint(i+1) {
			return false
		}
	}
	return true
}

// isKnown says that the table knows an English message: itself, or with a reason of
// the kernel's behind it.
func isKnown(text string) bool {
	if len(text) > 200 || strings.Count(text, "%") == 1 && len(text) < 6 {
		return false
	}
	if _, asked := knownTexts[text]; !asked {
		knownTexts[text] = len(Explain(examples(text))) > 0
	}
	return knownTexts[text]
}

// knownTexts are isKnown's answers, as each language asks the same.
var knownTexts = map[string]bool{}
