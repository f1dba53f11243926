package xml

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// TestDocuments reads testdata/documents.txt: what each demands, what enable makes of
// it, what is said of it, and that any chain of enable is taken back whole.
func TestDocuments(t *testing.T) {
	all, err := os.ReadFile("testdata/documents.txt")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(all), "\n== ")[1:]
	for i, block := range blocks {
		head, body, _ := strings.Cut(block, "\n")
		field := strings.Split(head, "|")
		if len(field) != 4 {
			t.Fatalf("%q", head)
		}
		for i := range field {
			field[i] = strings.TrimSpace(field[i])
		}
		doc := guest(body)
		if got := outcome(doc, nil); !strings.Contains(got, field[1]) {
			t.Errorf("%s: demands %s, not %s", field[0], got, field[1])
		}
		out, err := Rewrite(doc, usually)
		if got := outcome(out, err); !strings.Contains(got, field[2]) {
			t.Errorf("%s: enabled it is %s, not %s", field[0], got, field[2])
		}
		got := strings.Join(CautionTexts(doc), "\n")
		if !strings.Contains(got, field[3]) || (got == "") != (field[3] == "") {
			t.Errorf("%s: it is said %q, not %q", field[0], got, field[3])
		}
		if _, err := parse(doc); err != nil {
			continue // nothing is changed in what libvirt can't read
		}
		random := rand.New(rand.NewPCG(uint64(i), 1))
		for range 8 {
			wishes := make([]byte, 1+random.IntN(5))
			for j := range wishes {
				wishes[j] = byte(random.IntN(256))
			}
			chain(t, doc, wishes)
		}
	}
	if len(blocks) < 40 {
		t.Errorf("%d documents are read", len(blocks))
	}
}
