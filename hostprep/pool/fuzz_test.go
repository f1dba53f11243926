package pool

import (
	"strings"
	"testing"
)

func FuzzParseSizeDir(f *testing.F) {
	f.Add("hugepages-2048kB")
	f.Fuzz(func(t *testing.T, name string) {
		if size, ok := parseSizeDir(name); ok && (size <= 0 || sizeDir(size) != name) {
			t.Errorf("%q: %d, which is %q", name, size, sizeDir(size))
		}
	})
}

func FuzzParseNodeMemory(f *testing.F) {
	f.Add("Node 0 MemTotal:       24684100 kB\nNode 0 MemFree:        23000512 kB\nNode 0 Active(file):  5 kB\n")
	f.Fuzz(func(t *testing.T, text string) {
		m := parseNodeMemory(text)
		if m.free < 0 || m.free > 0 && !strings.Contains(text, "MemFree:") || m.cache < 0 {
			t.Errorf("%q: %+v", text, m)
		}
	})
}
