package shell

import (
	"os/exec"
	"testing"
)

func TestQuote(t *testing.T) {
	for word, want := range map[string]string{
		"web1": "web1", "vm-1.example.com": "vm-1.example.com", "/dev/hugepages/libvirt": "/dev/hugepages/libvirt", "a=b": "a=b",
		"": "''", "two words": "'two words'", "db;reboot": "'db;reboot'", "$(id)": "'$(id)'", "it's": `'it'\''s'`, "~root": "'~root'", "a*": "'a*'", "домен": "'домен'",
	} {
		if got := Quote(word); got != want {
			t.Errorf("%q is %s, not %s", word, got, want)
		}
	}
	for word, want := range map[string]string{"--all": "-- --all", "-x y": "-- '-x y'", "web1": "web1", "a -b": "'a -b'"} {
		if got := Operand(word); got != want {
			t.Errorf("%q is %s, not %s", word, got, want)
		}
	}
}

// A real shell reads each word as it was.
func FuzzQuote(f *testing.F) {
	for _, word := range []string{"", "a b", "`id`", "size=1,,2", `{"a":"b"}`, "é", "'", `\`, "\"$HOME\"", "a\nb", "!x", "#a", "-n", "a'b'c;d&|<>(){}[]?*~"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		for i := range len(word) {
			if word[i] == 0 {
				t.Skip("no argument of a program has a NUL")
			}
		}
		out, err := exec.Command("sh", "-c", "printf %s. "+Quote(word)).Output()
		if err != nil {
			t.Fatal(err)
		}
		if string(out) != word+"." {
			t.Errorf("%q is %q", word, out)
		}
	})
}
