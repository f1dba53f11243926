package check

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/journal"
)

// Look, fix, look again: what a finding carries does mend it, and is taken back.
func TestFindingsMend(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", `-- modes --
dev/hugepages/libvirt 0700 0:0
dev/hugepages/libvirt/qemu 0700 0:0
dev/hugepages/libvirt/qemu/7-web1/ 0700 0:0
`)}
	findings := Run(h, guesttest.Takes(1))
	var changes []change.Change
	for _, f := range findings {
		changes = append(changes, f.Changes...)
	}
	hosttest.Must(t, journal.Journal{Host: h}.Apply(changes))
	if got := Run(h, guesttest.Takes(1)); len(changes) != 3 || len(got) != 0 {
		t.Errorf("after %v there is still: %s", changes, guesttest.Show(got))
	}
	if _, left, err := (journal.Journal{Host: h}).Undo(); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if diff := cmp.Diff(findings, Run(h, guesttest.Takes(1))); diff != "" {
		t.Errorf("undo left another host:\n%s", diff)
	}
}
