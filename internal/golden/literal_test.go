package golden

import "testing"

func TestReplaceLiteral(t *testing.T) {
	const source = "package p\n\nvar a, b = `\nold words\nin two lines`, \"short\"\n\nvar c = `\nold words\nin two lines\n`\n"
	for name, row := range map[string]struct{ want, got, changed string }{
		"raw, wherever it stands": {"old words\nin two lines", "new", "package p\n\nvar a, b = `\nnew`, \"short\"\n\nvar c = `\nnew\n`\n"},
		"quoted":                  {"short", "a \"longer\" one", "package p\n\nvar a, b = `\nold words\nin two lines`, \"a \\\"longer\\\" one\"\n\nvar c = `\nold words\nin two lines\n`\n"},
		"a part is not enough":    {"old words", "new", ""},
	} {
		changed, ok := replaceLiteral("p.go", []byte(source), row.want, row.got)
		if ok != (row.changed != "") || ok && string(changed) != row.changed {
			t.Errorf("%s: %v\n%s", name, ok, changed)
		}
	}
}
