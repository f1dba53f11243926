package nearest

import "testing"

func TestNearest(t *testing.T) {
	words := []string{"start", "stop", "status", "dry-run", "xml"}
	for word, want := range map[string]string{
		"stat": "start", "satrt": "start", "sotp": "stop", "dryrun": "dry-run", "xm": "xml",
		"": "", "x": "", "web1": "", "help": "", "database": "",
	} {
		if want != "" {
			want = " (did you mean " + want + "?)"
		}
		if got := Ask(word, words); got != want {
			t.Errorf("%q: %q, not %q", word, got, want)
		}
	}
}
