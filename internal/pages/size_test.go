package pages

import (
	"encoding/json"
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{
		"2M": Size2MiB, "2MiB": Size2MiB, "2048k": Size2MiB, "2048KiB": Size2MiB, "2097152": Size2MiB,
		"1G": Size1GiB, "1g": Size1GiB, "1024M": Size1GiB, "64K": SizeOfKiB(64), "16G": 16 * Size1GiB,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "M", "0", "-2M", "3M", "2X", "2 M M", "1e3", "2MM", "99999999999999999999", "1024", "9000000T"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1023: "1023 bytes", 2 * MiB: "2 MiB", GiB: "1 GiB", 1536 * MiB: "1536 MiB", 64 * KiB: "64 KiB",
	} {
		if got := FormatBytes(n); got != want {
			t.Errorf("FormatBytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestSizeJSON(t *testing.T) {
	for _, size := range []Size{0, Size2MiB, Size1GiB} {
		text, err := json.Marshal(size)
		var back Size
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back != size {
			t.Errorf("%d became %s, then %d, %v", size, text, back, err)
		}
	}
	for _, text := range []string{`-1`, `9007199254740992`, `99999999999999999999`, `1.5`, `"2M"`, `null`} {
		var size Size
		if err := json.Unmarshal([]byte(text), &size); err == nil {
			t.Errorf("%s became %d", text, size)
		}
	}
}

func TestTotals(t *testing.T) {
	d := Demand{Items: []Item{
		{PageSize: Size2MiB, Pages: 32, MemoryKiB: 65536},
		{PageSize: Size1GiB, Pages: 1, MemoryKiB: 1048576},
		{PageSize: Size2MiB, Pages: 8, MemoryKiB: 16384},
	}}
	got := d.Totals()
	if len(got) != 2 || got[0] != (Total{Size2MiB, 40, 81920}) || got[1] != (Total{Size1GiB, 1, 1048576}) {
		t.Errorf("totals are %v", got)
	}
}
