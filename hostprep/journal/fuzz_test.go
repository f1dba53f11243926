package journal

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzJournal(f *testing.F) {
	f.Add(`{"version":1,"changes":[{"kind":"chmod","path":"/dev/hugepages/libvirt","from":"0700","to":"0711","boot":"4f0"}]}`)
	f.Add(`{"version":2,"changes":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		records, err := parseJournal([]byte(text))
		if err != nil {
			return
		}
		again, err := json.Marshal(journalText{journalVersion, records})
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseJournal(again)
		if diff := cmp.Diff(records, back); err != nil || diff != "" {
			t.Errorf("%s: %s%v", again, diff, err)
		}
	})
}
