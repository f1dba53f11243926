package main

import (
	"strings"
	"testing"

	"vmhuge/docs/schema"
	"vmhuge/hostprep/proof"
	"vmhuge/qemu"
	"vmhuge/supervise"
)

// A QEMU that gets no more of its pages for a while may get them yet: it is not
// said to have none, but what it has.
func TestExecStalled(t *testing.T) {
	e := &execution{Command: qemu.Command{Name: "qemu-system-x86_64", Args: []string{"qemu-system-x86_64"}, UUID: "6695eb01-f6a4-8304-79aa-97f2502e193f", RAMKiB: 1 << 20, FilledKiB: 1 << 20}}
	got := supervise.Proof{PID: 7, Stalled: true, Memory: proof.Proof{RAMKiB: 1 << 20, Verdict: "none"}}
	var errs strings.Builder
	(&program{stderr: &errs}).showProof(e, got)
	const want = "vmhuge: qemu-system-x86_64: QEMU (process 7, UUID 6695eb01-f6a4-8304-79aa-97f2502e193f) has 0 bytes of the 1 GiB of huge pages that it takes at the start, and has had no more for 10s; it may get them yet: grep HugetlbPages /proc/7/status\n"
	if errs.String() != want {
		t.Errorf("%q", errs.String())
	}
	errs.Reset()
	(&program{stderr: &errs, json: true}).showProof(e, got)
	if err := schema.Check("exec", 0, []byte(errs.String())); err != nil || !strings.Contains(errs.String(), `"stalled":true`) {
		t.Error(err, errs.String())
	}
}
