package ledger

import (
	"strconv"
	"testing"

	"vmhuge/internal/pages"
)

// A release ends in the same whether the guest was looked for first or libvirt said that it
// has ended, also where the one before was killed.
func TestOpenFor(t *testing.T) {
	const (
		added    = `{"node":0,"page_size_kib":2048,"pages":50}`
		freed    = `{"node":0,"page_size_kib":2048,"pages":50,"without":70}` // 30 of them are there
		starting = web1 + ".starting"
	)
	for name, test := range map[string]struct {
		file, grant string
		given       int64
	}{
		"starting": {starting, added, 50}, "in use": {web1 + ".700", added, 50}, "owed": {web1 + ".owed", added, 50},
		"cut off": {starting, freed, 30}, "nothing was added": {starting, "", 0},
	} {
		for _, ended := range []string{"", web1} {
			t.Run(name+" "+strconv.FormatBool(ended != ""), func(t *testing.T) {
				root := fixture(t, oneNode, onDisk(test.file, dead(test.grant)), onDisk(db1+".starting", `{"version":1,"boot_id":"`+bootID1+`","uuid":"`+db1+`"}`))
				l, err := OpenFor(t.Context(), root, ended)
				must(t, err)
				given, owed, err := l.Release(web1)
				must(t, err)
				for _, s := range l.Settled {
					given += s.Given
				}
				l.Close()
				if left := files(t, root); len(left) != 0 || given != test.given*2*pages.MiB || owed != 0 || nr(t, root, 0, 2048) != 100-test.given {
					t.Errorf("%d MiB freed, %d owed, %q left, %d pages", given/pages.MiB, owed/pages.MiB, left, nr(t, root, 0, 2048))
				}
			})
		}
	}
}
