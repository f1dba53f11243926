package ledger

import (
	"os"
	"testing"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// Killed while node 0's surplus is persistent: the next run makes it surplus
// again, once.
func TestBorrowed(t *testing.T) {
	for name, test := range map[string]struct {
		record string
		want   int64
	}{
		"killed in between":                   {`{"boot_id":"` + bootID1 + `","node":0,"page_size_kib":2048,"persistent":20,"total":64}`, 20},
		"and somebody has set the pool since": {`{"boot_id":"` + bootID1 + `","node":0,"page_size_kib":2048,"persistent":20,"total":90}`, 64},
		"killed after it was given":           {`{"boot_id":"` + bootID1 + `","node":0,"page_size_kib":2048,"persistent":64,"total":90}`, 64},
		"somebody has taken more since":       {`{"boot_id":"` + bootID1 + `","node":0,"page_size_kib":2048,"persistent":90,"total":100}`, 64},
		"an older vmhuge was killed":          {`{"boot_id":"` + bootID1 + `","node":0,"page_size_kib":2048,"persistent":20}`, 20},
		"an older one, after it was given":    {`{"boot_id":"` + bootID1 + `","node":0,"page_size_kib":2048,"persistent":64}`, 64},
		"before a reboot":                     {`{"boot_id":"another","node":0,"page_size_kib":2048,"persistent":20,"total":64}`, 64},
		"unreadable":                          {`{"boot`, 64},
	} {
		root := fixture(t, surplusOn0, "-- pools --\n0 2048 64 0 0\n", us(), "-- run/vmhuge/borrowed.json --\n"+test.record)
		open(t, root).Close()
		if _, err := root.Read(pool.BorrowedFile...); nr(t, root, 0, 2048) != test.want || !os.IsNotExist(err) {
			t.Errorf("%s: %d pages, %v", name, nr(t, root, 0, 2048), err)
		}
	}
	// It is on record before the surplus is touched, and off it after.
	root := fixture(t, surplusOn0)
	p, err := pool.SetPersistent(root, 1, pages.Size2MiB, 10, 5)
	must(t, err)
	if _, err := root.Read(pool.BorrowedFile...); p.Total != 5 || !os.IsNotExist(err) {
		t.Errorf("%+v, %v", p, err)
	}
}
