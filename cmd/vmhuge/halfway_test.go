package main

import (
	"os"
	"strings"
	"testing"

	"vmhuge/docs/schema"
	"vmhuge/hostprep/hosttest"
)

// A command that fails after it has changed something tells both: in JSON, what was done
// stands beside the error.
func TestHalfway(t *testing.T) {
	hosttest.NeedRoot(t)
	for _, test := range []struct{ before, args, blocked, says, answers string }{
		{"", "prepare --pages 1100 --persist", "run/vmhuge/claims",
			"prepare: done: write /etc/sysctl.d/99-vmhuge.conf: vm.nr_hugepages = 1100\n", `"host":{"changed":[{"from":"","kind":"mkdir","path":"/etc/vmhuge"`},
		{"prepare --pages 1100", "undo", "var/lib/vmhuge/changes.json", "undo: 152 MiB of huge pages freed\n", `"given_back_kib":155648`},
	} {
		for _, asJSON := range []bool{false, true} {
			root := hosttest.Unpack(t, "one-node", "-- sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages --\n1024\n")
			vmhuge := func(args ...string) (code int, stdout, stderr string) {
				var out, errs strings.Builder
				code = run(append([]string{"vmhuge", "--root", string(root)}, args...), os.Stdin, &out, &errs)
				if err := schema.CheckRun(args, code, out.String(), errs.String()); err != nil {
					t.Error(err)
				}
				return code, out.String(), errs.String()
			}
			if test.before != "" {
				vmhuge(strings.Fields(test.before)...)
			}
			hosttest.WriteFile(t, root.Path(test.blocked), "in the way\n")
			args, want, fails := strings.Fields(test.args), test.says, "vmhuge: "
			if asJSON {
				args, want, fails = append(args, "--json"), test.answers, ""
			}
			code, out, told := vmhuge(args...)
			if code != exitFailed || !strings.Contains(out, want) || asJSON != strings.Contains(out, `"error":{"what":`) || !strings.HasPrefix(told, fails) {
				t.Errorf("%q: %d, %s%s", args, code, out, told)
			}
		}
	}
}
