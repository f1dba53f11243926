package prepare

import (
	"strings"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// A reboot helps where the kernel waits in a write, but what it waits for can be ended first.
func TestUntilRebootOfAStuckWrite(t *testing.T) {
	stuck := &pool.Stuck{Size: pages.Size1GiB, File: "/sys/nr_hugepages", PID: 7}
	f := Options{Persist: true}.untilReboot(hostprep.Finding{Do: "buy memory", Short: &pool.Short{Stuck: stuck}})
	if !strings.Contains(f.Do, stuck.Do()) || !strings.HasSuffix(f.Do, "; or reboot") || strings.Contains(f.Do, "fragmented") {
		t.Error(f.Do)
	}
}
