package ledger

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vmhuge/internal/smaps"
)

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
		mapped, faulted := smaps.Hugetlb(smaps.Parse(text))
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
