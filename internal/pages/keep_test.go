package pages

import "testing"

func TestKeep(t *testing.T) {
	for text, want := range map[string]string{"always": "always", "no": "no", "90m": "1h30m", "2h": "2h", "61s": "1m1s", "1h0m1s": "1h0m1s", "1.5s": "1s", "10m0s": "10m"} {
		k, err := ParseKeep(text)
		if err != nil || k.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, k, err, want)
		}
		if again, err := ParseKeep(k.String()); err != nil || again != k {
			t.Errorf("%s: %s is read as %s, %v", text, k, again, err)
		}
	}
	for _, text := range []string{"", "0", "0s", "10", "-1h", "1ms", "ever", "Always"} {
		if k, err := ParseKeep(text); err == nil {
			t.Errorf("%q is read as %s", text, k)
		}
	}
}
