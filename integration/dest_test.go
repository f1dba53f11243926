package integration

import (
	"encoding/json"
	"testing"

	"vmhuge/hostprep"
)

// TestCheckDest uses the tests' own libvirtd as the destination, and compares the verdict
// with a start there, which is how every incoming migration begins.
func TestCheckDest(t *testing.T) {
	for _, row := range []struct {
		name    string
		setup   func(t *testing.T)
		guest   guest
		verdict hostprep.Verdict
		code    int
	}{
		{name: "enough", setup: onNodes(32), verdict: hostprep.Ready},
		{name: "one page short", setup: onNodes(31), verdict: hostprep.NoMemory, code: 4},
		{name: "memfd", setup: onNodes(32), guest: guest{backing: pages2M + "<source type='memfd'/>"}, verdict: hostprep.Ready},
		{name: "no such node", setup: onNodes(32), guest: guest{backing: pages2M, more: "<numatune><memory mode='strict' nodeset='3'/></numatune>"}, verdict: hostprep.BadDomain, code: 3},
		{name: "no such size", setup: onNodes(32), guest: guest{backing: "<hugepages><page size='4096' unit='KiB'/></hugepages>"}, verdict: hostprep.BadHost, code: 3},
		{name: "no mount", setup: all(onNodes(32), restarted(mountAgain(mount1G, ""), mountAgain(mount2M, ""))), verdict: hostprep.NoMount, code: 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			hostAsBefore(t)
			if row.guest.backing == "" {
				row.guest.backing = pages2M
			}
			row.setup(t)
			dom := define(t, row.guest)
			r := vmhuge(t, "--json", "check", "--dest", "qemu:///system", nameOf(t, dom))
			var answer struct {
				Domains []struct {
					Verdict hostprep.Verdict
					Dest    struct {
						Verdict hostprep.Verdict
						Ready   bool
						Pools   []struct{ Node, Total, Free int }
						Unseen  []string
					}
				}
			}
			if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || len(answer.Domains) != 1 {
				t.Fatalf("%v: %+v", err, r)
			}
			d := answer.Domains[0]
			if r.Code != row.code || d.Verdict != row.verdict || d.Dest.Verdict != row.verdict || d.Dest.Ready != (row.code == 0) {
				t.Errorf("exit code %d, want %d and %s:\n%s", r.Code, row.code, row.verdict, r.Stdout)
			}
			if len(d.Dest.Pools) == 0 || len(d.Dest.Unseen) == 0 {
				t.Errorf("it says nothing of the pools there, or of what it can't see:\n%s", r.Stdout)
			}
			// A plan over hosts says the same, if by other exit codes: there is no host for it.
			want := 0
			if row.code != 0 {
				want = 4
			}
			if r := vmhuge(t, "--json", "plan", "--on", "qemu:///system", nameOf(t, dom)); r.Code != want {
				t.Errorf("plan --on: exit code %d, want %d\n%s", r.Code, want, r.Stdout)
			}
			if err := tryStartPaused(dom); (err == nil) != (row.code == 0) {
				t.Errorf("the start ended with %v", err)
			}
		})
	}
}
