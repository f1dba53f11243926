package process

import (
	"strings"
	"testing"
)

func FuzzParseStatStart(f *testing.F) {
	f.Add("4242 (qemu-system (x)) S 1 4242 4242 0 -1 4194624 12 0 0 0 0 0 0 0 20 0 1 0 88123 1 1")
	f.Fuzz(func(t *testing.T, text string) {
		start, err := parseStatStart(text)
		if err != nil {
			return
		}
		// The name is the process's own to choose, and must not matter.
		at := strings.LastIndex(text, ")")
		if again, err := parseStatStart(text[:at] + ") 0 (1 2) (3)" + text[at+1:]); err != nil || again != start {
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
