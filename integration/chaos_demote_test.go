package integration

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"
)

// TestMicroVMChaosDemote splits pages of 1 GiB while guests start and end on pages of both sizes,
// and while vmhuge is killed or interrupted at random moments. After each round every page of
// 1 GiB is whole or 512 of 2 MiB, as often as vmhuge was asked for that, and after undo, which may
// be killed as well, all are whole again.
//
// CHAOS_ROUNDS is how many rounds there are, CHAOS_SEED repeats a run.
func TestMicroVMChaosDemote(t *testing.T) {
	if !inMicroVM(t, machine{nodes: 1, nodeMiB: 3840, kernel: "hugepagesz=1G hugepages=2"}.within(3*time.Hour)) {
		return
	}
	rounds, seed := number(t, "CHAOS_ROUNDS", 2), number(t, "CHAOS_SEED", int(time.Now().UnixNano()%1e9))
	t.Logf("CHAOS_ROUNDS=%d CHAOS_SEED=%d", rounds, seed)
	hostAsBefore(t)
	installHook(t)
	c := &demoteChaos{t: t, random: rand.New(rand.NewPCG(uint64(seed), 0)), small: pool2M(t), whole: pool1G(t)}
	for i, g := range []guest{
		{memory: "<memory unit='MiB'>300</memory>", backing: pages2M},
		{memory: "<memory unit='MiB'>400</memory>", backing: pages2M + "<access mode='shared'/>"},
		{memory: "<memory unit='GiB'>1</memory>", backing: pages1G},
	} {
		g.name = fmt.Sprintf("%sdemote-%d", guestPrefix, i)
		c.doms = append(c.doms, define(t, g))
	}
	begun := time.Now()
	done(t, "prepare", "--demote", "1")
	c.moments = time.Since(begun) * 3 / 2
	c.undo()
	for round := 0; round < rounds || c.splits == 0 && round < rounds+10; round++ {
		c.log = nil
		c.quiet = round >= rounds
		c.disturb()
		c.end()
		if round%2 == 1 || round >= rounds-1 {
			c.undo()
		}
		if t.Failed() {
			t.Fatalf("round %d, CHAOS_SEED=%d:\n%s", round, seed, strings.Join(c.log, "\n"))
		}
	}
	t.Logf("%d runs, %d of them killed; %d pages split, %d guests started, %d of them beside split pages", c.runs, c.kills, c.splits, c.starts, c.beside)
	// Of few rounds chance may kill no run, nor start a guest on the pieces. Where it has cut short
	// each that was to split a page, there were more rounds.
	if c.splits == 0 || rounds >= 30 && (c.kills == 0 || c.beside == 0) {
		t.Errorf("nothing was tried; the last round:\n%s", strings.Join(c.log, "\n"))
	}
}

func pool1G(t *testing.T) int {
	t.Helper()
	return readTestPools(t)[size1G].Nodes[0].Total
}

// demoteChaos is the state of a run.
type demoteChaos struct {
	t            *testing.T
	random       *rand.Rand
	doms         []*libvirt.Domain // the last is on a page of 1 GiB
	small, whole int               // pages of 2 MiB, and of 1 GiB, at the beginning
	moments      time.Duration     // within which runs are cut short: a bit more than one takes
	quiet        bool              // nothing is cut short

	mu  sync.Mutex
	log []string
	// At least and at most so many pages are split: a run that was killed may have split one, or
	// put all together again.
	least, most                         int
	runs, kills, splits, starts, beside int
}

func (c *demoteChaos) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// run runs vmhuge in the background of others, perhaps not to its end.
func (c *demoteChaos) run(how int, after time.Duration, args ...string) cut {
	if c.quiet {
		how = uncut
	}
	r := cutShort(how, after, args...)
	c.note("%q, %d after %s: %v: %s", args, how, after, r.err, r.out)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs++
	if r.killed {
		c.kills++
	}
	return r
}

// disturb does several things at once, each of which may be cut short.
func (c *demoteChaos) disturb() {
	var all sync.WaitGroup
	moment := func() time.Duration { return time.Duration(c.random.Int64N(int64(c.moments))) }
	undoes := c.random.IntN(4) == 0
	if undoes {
		c.least = 0 // also of what is split before it
	}
	for range 1 + c.random.IntN(2) {
		how, after, later := c.random.IntN(4), moment(), moment()/2
		all.Go(func() {
			time.Sleep(later)
			c.split(how, after, !undoes)
		})
	}
	if undoes {
		how, after, later := c.random.IntN(4), moment(), moment()
		all.Go(func() {
			time.Sleep(later)
			c.run(how, after, "undo")
		})
	}
	for i, dom := range c.doms {
		how, after, later, by, end := c.random.IntN(5), moment(), moment(), c.random.IntN(2), c.random.IntN(3)
		all.Go(func() {
			time.Sleep(later)
			name := nameOf(c.t, dom)
			if by == 0 && i < len(c.doms)-1 { // the hook, which adds what is missing
				err := tryStartPaused(dom)
				c.note("start of %s: %v", name, err)
			} else { // only on what is there
				c.run(how, after, "start", "--paused", "--host-reserve", "64T", name)
			}
			libvirtIdle(c.t, dom)
			if active, err := dom.IsActive(); err != nil || !active {
				return
			}
			c.mu.Lock()
			c.starts++
			if pool1G(c.t) < c.whole {
				c.beside++
			}
			c.mu.Unlock()
			c.stop(dom, end, how, after)
		})
	}
	all.Wait()
}

// split splits a page of 1 GiB, which then stays so.
func (c *demoteChaos) split(how int, after time.Duration, stays bool) {
	r := c.run(how, after, "prepare", "--demote", "1")
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r.err == nil:
		c.splits++
		c.most++
		if stays {
			c.least++
		}
	case how < uncut && !c.quiet: // it may have been cut short after that
		c.most++
	}
}

// stop ends a guest in one way or another, perhaps not at once.
func (c *demoteChaos) stop(dom *libvirt.Domain, end, how int, after time.Duration) {
	switch end {
	case 0:
		c.run(how, after, "stop", "--force", "--timeout", "0s", nameOf(c.t, dom))
	case 1:
		c.note("destroy: %v", dom.Destroy())
	case 2:
		var pid int
		if err := readNumber(filepath.Join("/run/libvirt/qemu", nameOf(c.t, dom)+".pid"), &pid); err == nil { // else it has ended
			c.note("kill of QEMU: %v", unix.Kill(pid, unix.SIGKILL))
		}
	}
}

// end ends all guests, and counts.
func (c *demoteChaos) end() {
	t := c.t
	for _, dom := range c.doms {
		libvirtIdle(t, dom)
		destroy(t, dom)
	}
	done(t, "status")
	var small, split int
	right := func() bool {
		small, split = pool2M(t)-c.small, c.whole-pool1G(t)
		return small == 512*split && split >= min(c.least, c.whole) && split <= min(c.most, c.whole)
	}
	for end := time.Now().Add(2 * time.Minute); !right() && time.Now().Before(end); {
		done(t, "status") // it frees what could not be freed before
	}
	c.note("%d pages of 1 GiB are split, and there are %d of 2 MiB", split, small)
	if !right() {
		t.Errorf("%d pages of 1 GiB are split, of at least %d and at most %d, and there are %d of 2 MiB", split, c.least, c.most, small)
	}
	c.least, c.most = split, split
	words := fmt.Sprintf("%d page of 1 GiB on node 0 in one piece again", split)
	if split > 1 {
		words = fmt.Sprintf("%d pages of 1 GiB on node 0 in one piece again", split)
	}
	if r := done(t, "undo", "--dry-run"); split > 0 && !strings.Contains(r.Stdout, words) {
		t.Errorf("%d pages are split, and undo would: %s", split, r.Stdout)
	}
}

// undo puts all back, perhaps not in one go.
func (c *demoteChaos) undo() {
	for range c.random.IntN(3) {
		c.run(0, time.Duration(c.random.Int64N(int64(c.moments))), "undo")
	}
	done(c.t, "undo")
	done(c.t, "status")
	if small, whole := pool2M(c.t)-c.small, pool1G(c.t); small != 0 || whole != c.whole {
		c.t.Errorf("after undo %d pages of 1 GiB are there, not %d, and %d of 2 MiB are left", whole, c.whole, small)
	}
	wantClaims(c.t)
	c.least, c.most = 0, 0
}
