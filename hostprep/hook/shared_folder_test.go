package hook

import (
	"fmt"
	"testing"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/journal"
)

// /etc/vmhuge has the hook's settings and what prepare keeps for the next boot. It goes with
// the last of them, whichever made it and whichever goes first.
func TestSharedFolder(t *testing.T) {
	for i := range 4 {
		prepareFirst, undoFirst := i&1 != 0, i&2 != 0
		t.Run(fmt.Sprintf("prepare first: %v, undo first: %v", prepareFirst, undoFirst), func(t *testing.T) {
			h := hookHost(t)
			record := journal.Journal{Host: h}
			run := func(swapped bool, first, second func()) {
				if swapped {
					first, second = second, first
				}
				first()
				second()
			}
			run(prepareFirst, func() {
				installHook(t, h, Options{Settings: Settings{DropIfShort: true}, Libvirt: 9000000})
			}, func() {
				changes, err := change.FilePlan(h, "/etc/vmhuge/boot.json", "text\n")
				hosttest.Must(t, err)
				hosttest.Must(t, record.Apply(changes))
			})
			run(undoFirst, func() {
				if _, left, err := Remove(h); err != nil || len(left) > 0 {
					t.Errorf("removing the hook leaves %+v, %v", left, err)
				}
			}, func() {
				if _, left, err := record.Undo(); err != nil || len(left) > 0 {
					t.Errorf("undo leaves %+v, %v", left, err)
				}
			})
			for _, path := range []string{"/etc/vmhuge", "/var/lib/vmhuge"} {
				if st, err := h.Lstat(path); st != nil || err != nil {
					t.Errorf("%s is left: %v", path, err)
				}
			}
		})
	}
}
