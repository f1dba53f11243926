package matrix

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTables reads what a run has said, and writes both tables of the page, beside the lines
// of another release and instead of its own from before.
func TestTables(t *testing.T) {
	const said = "\x16=== RUN   TestFaults\n\x16=== RUN   TestFaults/enough\n\x16--- PASS: TestFaults/enough (0.10s)\n" +
		"\x16=== RUN   TestFaults/restrictive\n    guest_test.go:7: too old\n\x16--- SKIP: TestFaults/restrictive (0.10s)\n" +
		"\x16=== RUN   TestFaults/hook\n    faults_test.go:9: no\n\x16--- FAIL: TestFaults/hook (0.10s)\n\x16--- FAIL: TestFaults (0.30s)\n" +
		"\x16=== RUN   TestShapes\n\x16=== RUN   TestShapes/two-sizes\n    shapes_test.go:8: no room: TestMicroVMPagesOf1GiB runs it\n\x16--- SKIP: TestShapes/two-sizes (0.10s)\n" +
		"\x16=== RUN   TestShapes/two-masters\n    shapes_test.go:8: no room: TestMicroVMPagesOf1GiB runs it\n\x16--- SKIP: TestShapes/two-masters (0.10s)\n\x16--- PASS: TestShapes (0.30s)\n" +
		"\x16=== RUN   TestKeep\n\x16--- PASS: TestKeep (0.10s)\n\x16FAIL\n"
	found := parse(t, strings.NewReader(said))
	if diff := cmp.Diff([]string{"two-sizes", "two-masters"}, found.left()); diff != "" {
		t.Error(diff)
	}
	found.add(parse(t, strings.NewReader("\x16=== RUN   TestMicroVMPagesOf1GiB\n    microvm_test.go:219:         --- PASS: TestMicroVMPagesOf1GiB/shapes/two-masters (0.10s)\n"+
		"    microvm_test.go:219:         --- FAIL: TestMicroVMPagesOf1GiB/faults/two-sizes (0.10s)\n\x16--- FAIL: TestMicroVMPagesOf1GiB (0.10s)\n\x16FAIL\n")))
	const old = "| host | x |\n|---|---|\n| Debian 11 | old |\n| Debian 12 | stays |\n"
	first, second := found.tables("Debian 11", []string{"7.0.0", "5.2"}, old, "| Debian 11 | old |\n| Debian 12 | stays, too |\n")
	if diff := cmp.Diff("| host | libvirt | QEMU | Linux | on | faults | hook | start | verify | prepare and undo | a running guest |\n"+
		"|---|---|---|---|---|---|---|---|---|---|---|\n"+
		"| Debian 11 | 7.0.0 | 5.2 | 2 passed, 1 failed, 1 skipped, 1 not run for want of pages of 1 GiB | 1 passed |  |  |  |  |\n| Debian 12 | stays |\n", first); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("| host | suite | which | why |\n|---|---|---|---|\n| Debian 11 | faults | restrictive | skipped: too old |\n| Debian 11 | faults | hook | FAILED |\n"+
		"| Debian 11 | faults | two-sizes | skipped: no room: TestMicroVMPagesOf1GiB runs it |\n| Debian 11 | faults | two-masters | passed in a micro-VM: no room |\n| Debian 12 | stays, too |\n", second); diff != "" {
		t.Error(diff)
	}
}
