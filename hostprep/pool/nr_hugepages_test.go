package pool

import (
	"testing"

	"vmhuge/internal/pages"
)

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
