package integration

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"vmhuge/hostprep"
	"vmhuge/internal/pages"
	"vmhuge/launcher"
)

// TestStatusOfHosts shows this host by two ways, beside one that is not there.
func TestStatusOfHosts(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 40)
	dom := define(t, guest{backing: pages2M})
	startPaused(t, dom)
	again, none := "qemu+unix:///system?mode=legacy", "qemu+unix:///system?socket=/nonexistent"
	r := vmhuge(t, "--json", "status", "-c", "qemu:///system", "-c", none, "-c", again)
	var answer struct {
		Hosts       []launcher.DestStatus
		Unreachable []struct{ Host string }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || r.Code != 1 || len(answer.Hosts) != 2 || len(answer.Unreachable) != 1 || answer.Unreachable[0].Host != none {
		t.Fatalf("%v: %+v", err, r)
	}
	for i, uri := range []string{"qemu:///system", again} {
		h := answer.Hosts[i]
		at := slices.IndexFunc(h.Pools, func(p launcher.DestPool) bool { return p.Node == 0 && p.Size == pages.Size2MiB })
		if h.Host != uri || at < 0 || h.Pools[at].Total != 40 || h.Pools[at].Free != 8 {
			t.Errorf("%+v", h)
		}
		if len(h.Domains) != 1 || h.Domains[0].Name != nameOf(t, dom) || h.Domains[0].State != launcher.Paused || h.Domains[0].Backing != pages.Hugetlb {
			t.Errorf("%+v", h.Domains)
		}
	}
	if text := vmhuge(t, "status", "-c", "qemu:///system", "-c", again); text.Code != 0 || strings.Count(text.Stdout, nameOf(t, dom)) != 2 {
		t.Errorf("%+v", text)
	}
}

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
