package collapse

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

var enough = Options{AtLeast: 95, Budget: time.Minute, Node: -1}

const (
	all  = int64(ramMiB * 1024)
	half = all / 2
)

// On memory of a real process the kernel does what the result says, and the process
// finds in it what it wrote.
func TestRun(t *testing.T) {
	for kind, want := range map[string]struct {
		percent float64
		huge    int64
		left    []Left
	}{
		"private":   {100, all, nil},
		"shared":    {100, all, nil},
		"half":      {100, half, []Left{{Untouched, half}}},
		"half read": {100, half, []Left{{Untouched, half}}},
		"unaligned": {0, 0, []Left{{Unaligned, all}}},
	} {
		t.Run(kind, func(t *testing.T) {
			p := start(t, kind)
			dry := enough
			dry.DryRun = true
			r, err := Run(t.Context(), p.host, p.guest, dry)
			if err != nil || r.Percent != want.percent || r.Stopped != NotStarted || r.Before.HugeKiB != 0 || p.hugeKiB() > all/8 {
				t.Errorf("dry run: %+v, %v; %d KiB are huge", r, err, p.hugeKiB())
			}
			r, err = Run(t.Context(), p.host, p.guest, enough)
			if err != nil || r.Percent != want.percent || r.Before.HugeKiB != 0 || r.After.HugeKiB != want.huge || r.Reached != (want.percent == 100) || r.Stopped != AllTried {
				t.Errorf("%+v, %v", r, err)
			}
			if diff := cmp.Diff(want.left, r.Left); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
			if kib := p.hugeKiB(); kib < want.huge {
				t.Errorf("the kernel counts %d KiB", kib)
			}
			p.check()
			r, err = Run(t.Context(), p.host, p.guest, enough)
			if err != nil || r.Before.HugeKiB != want.huge || r.After.HugeKiB != want.huge {
				t.Errorf("a second time: %+v, %v", r, err)
			}
		})
	}
}

// The memory of a node is all of it on a host with one node, and none on another.
func TestNode(t *testing.T) {
	p := start(t, "private")
	nodes, err := p.host.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	o := enough
	o.Node = 99
	if r, err := Run(t.Context(), p.host, p.guest, o); err != nil || r.TryKiB != 0 || r.After.HugeKiB != 0 {
		t.Errorf("a node without its memory: %+v, %v", r, err)
	}
	var tried int64
	for _, n := range nodes {
		o.Node = n.ID
		r, err := Run(t.Context(), p.host, p.guest, o)
		if err != nil || r.Percent != 100 || r.TryKiB > 0 && r.After.ByNode[strconv.Itoa(n.ID)] == 0 {
			t.Errorf("node %d: %+v, %v", n.ID, r, err)
		}
		tried += r.TryKiB
	}
	if tried != all || p.hugeKiB() < all {
		t.Errorf("%d KiB were tried, %d are huge", tried, p.hugeKiB())
	}
}

func TestStops(t *testing.T) {
	o := enough
	o.Budget = time.Nanosecond
	p := start(t, "private")
	if r, err := Run(t.Context(), p.host, p.guest, o); err != nil || r.Stopped != OutOfTime || r.Reached || !cmp.Equal(r.Left, []Left{{NotTried, all}}) || r.After.HugeKiB != 0 {
		t.Errorf("no budget: %+v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o = enough
	o.Progress = func(int64, int64) { cancel() }
	if r, err := Run(ctx, p.host, p.guest, o); err != nil || r.Stopped != Interrupted || r.Reached {
		t.Errorf("interrupted: %+v, %v", r, err)
	}
}

// A guest that loses a DIMM meanwhile has all of its memory on huge pages, and not half of what it had.
func TestLosesMemory(t *testing.T) {
	p := start(t, "private")
	g, had := p.guest, false
	g.RAM = func() (RAM, error) {
		ram, err := p.guest.RAM()
		if !had {
			ram.KiB *= 2
		}
		had = true
		return ram, err
	}
	if r, err := Run(t.Context(), p.host, g, enough); err != nil || r.RAMKiB != all || r.Percent != 100 || !r.Reached {
		t.Errorf("%+v, %v", r, err)
	}
}

// A guest that ends is not mistaken for one that can't be collapsed, nor is another process.
func TestGone(t *testing.T) {
	p := start(t, "private")
	o := enough
	o.Progress = func(int64, int64) {
		_ = p.cmd.Process.Kill()
		if err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil { // until it is a zombie
			t.Error(err)
		}
	}
	other := p.guest
	other.UUID = "0cb4f2f2-5d2c-4f5e-8a31-6a0b6c5f8a11"
	earlier := p.guest
	earlier.Process.Start--
	for name, g := range map[string]Guest{"another guest": other, "an earlier process of that pid": earlier} {
		if r, err := Run(t.Context(), p.host, g, enough); !errors.Is(err, errGone) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if p.hugeKiB() > all/8 {
		t.Errorf("%d KiB of another's memory are huge", p.hugeKiB())
	}
	if r, err := Run(t.Context(), p.host, p.guest, o); !errors.Is(err, errGone) {
		t.Errorf("killed meanwhile: %+v, %v", r, err)
	}
	if r, err := Run(t.Context(), p.host, p.guest, enough); !errors.Is(err, errGone) { // a zombie
		t.Errorf("killed before: %+v, %v", r, err)
	}
	_ = p.cmd.Process.Kill() // should the run have ended before it was killed
	_ = p.cmd.Wait()
	if r, err := Run(t.Context(), p.host, p.guest, enough); !errors.Is(err, errGone) {
		t.Errorf("reaped before: %+v, %v", r, err)
	}
}
