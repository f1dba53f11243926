package lab

import (
	"encoding/json"

	"vmhuge/hostprep"
	"vmhuge/hostprep/proof"
)

// startAndStop starts the guest tiny with vmhuge, checks that AppArmor confines it, and stops it.
func (l *lab) startAndStop(when string) {
	l.t.Helper()
	before := l.Must(labPools)
	r := l.report("vmhuge start tiny")
	if r.Verdict != hostprep.Running || r.Proof == nil || r.Proof.Verdict != proof.AllHuge {
		l.t.Errorf("%s: start: %+v", when, r)
	}
	for _, profile := range []string{daemon(), "libvirt-" + r.UUID} {
		if mode := l.profiles()[profile]; mode != "enforce" {
			l.t.Errorf("%s: AppArmor's mode of %s is %q", when, profile, mode)
		}
	}
	l.Must("vmhuge stop --force --timeout 0s tiny")
	if now := l.Must(labPools); now != before {
		l.t.Errorf("%s: the pools are\n%s\nand were\n%s", when, now, before)
	}
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
