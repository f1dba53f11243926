package xml

import (
	"strings"
	"testing"

	"vmhuge/internal/pages"
)

// TestReserveGrowth has a guest take pages for its growth, as far as its XML lets it grow.
func TestReserveGrowth(t *testing.T) {
	const gib = 1 << 20
	most := "<maxMemory slots='16' unit='GiB'>4</maxMemory>"
	cells := "<cpu><numa><cell id='0' cpus='0' memory='1' unit='GiB'/></numa></cpu><numatune><memory mode='strict' nodeset='1'/></numatune>"
	virtio := "<devices><memory model='virtio-mem'><target><size unit='GiB'>3</size><node>0</node><block unit='MiB'>2</block><requested unit='GiB'>1</requested></target></memory></devices>"
	for name, test := range map[string]struct {
		doc   string
		kib   int64
		pages int64
		nodes string
		why   string
	}{
		"a DIMM to come":   {"<memory unit='GiB'>1</memory>" + most, gib, 512, "", ""},
		"all of it":        {"<memory unit='GiB'>1</memory>" + most, 3 * gib, 1536, "", ""},
		"none":             {"<memory unit='GiB'>1</memory>" + most, 0, 0, "", ""},
		"on its node":      {"<memory unit='GiB'>1</memory>" + most + cells, gib, 512, "1", ""},
		"virtio-mem":       {"<memory unit='GiB'>4</memory>" + most + cells + virtio, 2 * gib, 1024, "1", ""},
		"more than it has": {"<memory unit='GiB'>1</memory>" + most, 4 * gib, 0, "", "has room for 3 GiB more, not for 4 GiB"},
		"half a page":      {"<memory unit='GiB'>1</memory>" + most, gib + 1024, 0, "", "is not a multiple of its pages of 2 MiB"},
		"no <maxMemory>":   {"<memory unit='GiB'>1</memory>", gib, 0, "", "it has no <maxMemory>"},
	} {
		doc := guest(test.doc)
		out, err := Rewrite(doc, Backing{PageSize: pages.Size2MiB, GrowthKiB: &test.kib})
		if test.why != "" {
			if err == nil || !strings.Contains(err.Error(), test.why) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		demand, err := Demand(out, 0)
		var got pages.Item
		for _, item := range demand.Items {
			if item.Kind == pages.Growth {
				got = item
			}
		}
		if err != nil || got.Pages != test.pages || got.HostNodes != test.nodes {
			t.Errorf("%s: %+v, %v\n%s", name, got, err, out)
		}
		if back, err := Revert(out, false); err != nil || string(back) != string(doc) {
			t.Errorf("%s: it comes back as %s, %v", name, back, err)
		}
	}
}
