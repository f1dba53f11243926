package launcher

import (
	"strings"
	"testing"

	"vmhuge/hostprep"
)

// check says of a domain what its XML says in vain, and it blocks no start.
func TestCautions(t *testing.T) {
	const head, tail = "<domain type='kvm'><name>a</name><memory unit='MiB'>64</memory>", "</domain>"
	if got := cautions([]byte(head + tail)); got != nil {
		t.Errorf("%+v", got)
	}
	got := cautions([]byte(head + "<currentMemory unit='MiB'>128</currentMemory><hugepages/>" + tail))
	if len(got) != 2 || !strings.Contains(got[0].Have, "<memoryBacking>") || !strings.Contains(got[1].Have, "<currentMemory>") {
		t.Fatalf("%+v", got)
	}
	if verdict, ready, _ := hostprep.Conclude(got); !ready || got[0].Severity != hostprep.Warning || got[0].Check != "xml" {
		t.Errorf("%s: %+v", verdict, got)
	}
}
