package pool

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vmhuge/internal/smaps"
)

func FuzzParseStatStart(f *testing.F) {
	f.Add("4242 (qemu-system (x)) S 1 4242 4242 0 -1 4194624 12 0 0 0 0 0 0 0 20 0 1 0 88123 1 1")
	f.Fuzz(func(t *testing.T, text string) {
		start, err := parseStatStart(text)
		if err != nil {
			return
		}
		// The name is the process's own to choose, and must not matter.
		name, rest, _ := cutLast(text, ")")
		if again, err := parseStatStart(name + ") 0 (1 2) (3)" + rest); err != nil || again != start {
			t.Errorf("%q: %d, then %d, %v", text, start, again, err)
		}
	})
}

func FuzzCmdlineUUID(f *testing.F) {
	f.Add([]byte("/usr/bin/qemu-system-x86_64\x00-uuid\x00" + web1 + "\x00"))
	f.Fuzz(func(t *testing.T, cmdline []byte) {
		uuid := cmdlineUUID(cmdline)
		if strings.Contains(uuid, "\x00") || uuid != "" && !strings.Contains(string(cmdline), "\x00-uuid\x00"+uuid) {
			t.Errorf("%q: %q", cmdline, uuid)
		}
	})
}

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

// What a claim is accepted with is written back and read as the same.
func FuzzParseClaim(f *testing.F) {
	f.Add([]byte(dead(`{"node":0,"page_size_kib":2048,"pages":50,"without":7}`)))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		claim, err := parseClaim(text)
		if err != nil {
			return
		}
		text, err = json.Marshal(claim)
		if err != nil {
			t.Fatalf("%+v: %v", claim, err)
		}
		again, err := parseClaim(text)
		if diff := cmp.Diff(claim, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%v: %s", err, diff)
		}
	})
}

// A name is one of ours, whole, or none: it becomes a path.
func FuzzParseFileName(f *testing.F) {
	f.Add(web1 + ".starting")
	f.Add(web1 + ".4242")
	f.Fuzz(func(t *testing.T, name string) {
		c, err := parseFileName(name)
		if err == nil && (c.fileName() != name || strings.ContainsAny(name, "/\x00") || len(name) > 50) {
			t.Errorf("%q: %+v", name, c)
		}
	})
}

func FuzzSumHugetlb(f *testing.F) {
	f.Add(someSmaps)
	f.Fuzz(func(t *testing.T, text string) {
		mapped, faulted := sumHugetlb(smaps.Parse(text))
		for size, n := range mapped {
			if size <= 0 || n < 0 {
				t.Errorf("%d of %d", n, size)
			}
		}
		for size, n := range faulted {
			if size <= 0 || n < 0 {
				t.Errorf("%d of %d", n, size)
			}
		}
	})
}
