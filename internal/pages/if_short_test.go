package pages

import "testing"

func TestIfShort(t *testing.T) {
	for text, want := range map[string]IfShort{"fail": 0, "thp": IfShortTHP, "2M": IfShort(Size2MiB), "1G": IfShort(Size1GiB), "64K": IfShort(64 * KiB)} {
		got, err := ParseIfShort(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "small", "3M", "-2M", "THP"} {
		if got, err := ParseIfShort(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}
