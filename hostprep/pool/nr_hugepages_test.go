package pool

import (
	"os"
	"testing"

	"vmhuge/internal/pages"
)

// The guest on node 0 has 64 pages that are surplus. What the kernel makes of
// what is written is for the integration tests on two nodes.
const surplusOn0 = `
-- pools --
all 2048 74 10 0 64 0
0 2048 64 0 64
1 2048 10 10 0
-- proc/sys/kernel/random/boot_id --
` + bootID1 + "\n"

func TestSurplusElsewhere(t *testing.T) {
	for name, test := range map[string]struct {
		pools string
		on    int
		want  bool
	}{
		"on the other node":         {surplusOn0, 1, true},
		"on this node":              {surplusOn0, 0, false},
		"on both":                   {surplusOn0 + "-- pools --\n1 2048 10 0 10\n", 1, false},
		"beside free pages":         {surplusOn0 + "-- pools --\n0 2048 70 6 64\n", 1, false},
		"on two others":             {surplusOn0 + "-- pools --\n2 2048 10 0 10\n", 1, false},
		"of another size":           {surplusOn0 + "-- pools --\n0 2048 64 0 0\n0 1048576 1 0 1\n1 1048576 1 0 0\nall 1048576 2 0 0 1 0\n", 1, false},
		"none, as on most machines": {oneNode, 0, false},
	} {
		state, err := Read(fixture(t, test.pools))
		must(t, err)
		if p, ok := state.surplusElsewhere(test.on, pages.Size2MiB); ok != test.want || ok && p.Node != 0 {
			t.Errorf("%s: %v, %+v", name, ok, p)
		}
	}
}

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
		if _, err := root.Read(borrowedFile...); nr(t, root, 0, 2048) != test.want || !os.IsNotExist(err) {
			t.Errorf("%s: %d pages, %v", name, nr(t, root, 0, 2048), err)
		}
	}
	// It is on record before the surplus is touched, and off it after.
	root := fixture(t, surplusOn0)
	p, err := setPersistent(root, 1, pages.Size2MiB, 10, 5)
	must(t, err)
	if _, err := root.Read(borrowedFile...); p.Total != 5 || !os.IsNotExist(err) {
		t.Errorf("%+v, %v", p, err)
	}
}
