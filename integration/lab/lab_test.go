package lab

import (
	"encoding/json"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/hostprep/proof"
)

// TestLab does vmhuge's main job on a Debian as it comes, with AppArmor, and
// does it again after a reboot.
func TestLab(t *testing.T) {
	l := boot(t, machine{nodes: 2})
	l.putVmhuge()
	l.define("tiny")
	const pools = "grep . /sys/devices/system/node/node*/hugepages/*/nr_hugepages"
	before := l.Must(pools)

	l.Must("vmhuge enable tiny")
	startAndStop := func(when string) {
		r := l.report("vmhuge start tiny")
		if r.Verdict != hostprep.Running || r.Proof == nil || r.Proof.Verdict != proof.AllHuge {
			t.Errorf("%s: start: %+v", when, r)
		}
		for _, profile := range []string{"libvirtd", "libvirt-" + r.UUID} {
			if mode := l.profiles()[profile]; mode != "enforce" {
				t.Errorf("%s: AppArmor's mode of %s is %q", when, profile, mode)
			}
		}
		l.Must("vmhuge stop --force --timeout 0s tiny")
		if now := l.Must(pools); now != before {
			t.Errorf("%s: the pools are\n%s\nand were\n%s", when, now, before)
		}
	}
	startAndStop("after the first boot")
	l.Reboot()
	startAndStop("after a reboot")
}

// profiles returns the mode of each of AppArmor's profiles that confines a
// process.
func (l *lab) profiles() map[string]string {
	l.t.Helper()
	var status struct {
		Processes map[string][]struct{ Profile, Status string }
	}
	out := l.Must("aa-status --json")
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		l.t.Fatalf("aa-status: %v\n%s", err, out)
	}
	modes := map[string]string{}
	for _, processes := range status.Processes {
		for _, process := range processes {
			modes[process.Profile] = process.Status
		}
	}
	return modes
}
