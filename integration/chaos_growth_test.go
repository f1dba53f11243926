package integration

import (
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"
)

// TestChaosGrowth has guests with a system grow and shrink, with DIMMs and virtio-mem, every other
// one with pages reserved for that, while vmhuge is killed or interrupted at random moments, a
// second growth meets the first, another program removes a DIMM, and the guest is ended in the
// middle. After each round the pool has what the guest has, or what is reserved for it where that
// is more, and nothing once it has ended; and a growth by what is reserved succeeds on a host that
// has nothing to spare.
//
// CHAOS_ROUNDS is how many rounds there are, CHAOS_SEED repeats a run.
func TestChaosGrowth(t *testing.T) {
	rounds, seed := number(t, "CHAOS_ROUNDS", 12), number(t, "CHAOS_SEED", int(time.Now().UnixNano()%1e9))
	t.Logf("CHAOS_ROUNDS=%d CHAOS_SEED=%d", rounds, seed)
	hostAsBefore(t)
	c := &growthChaos{growth: inPool(t, 128), random: rand.New(rand.NewPCG(uint64(seed), 0))}
	in256 := func(text string) string { return strings.ReplaceAll(text, "128", "256") }
	g := guest{memory: in256(growingMemory), backing: pages2M, more: in256(growingCell), boots: true,
		devices: "<memory model='virtio-mem'><target><size unit='MiB'>256</size><node>0</node><block unit='MiB'>2</block><requested unit='MiB'>0</requested></target></memory>"}
	for i := range c.doms {
		g.name = fmt.Sprint(domainName(t), "-", i)
		c.doms[i] = define(t, g)
	}
	for i, reserve := range []string{"128M", "256M"} {
		name := nameOf(t, c.doms[i+1])
		done(t, "enable", name, "--reserve-growth", reserve)
		defer done(t, "disable", name)
	}
	for round := range rounds {
		if !c.runs() {
			c.begin()
		}
		c.disturb()
		c.settle()
		c.sure()
		if c.random.IntN(10) == 0 || round == rounds-1 {
			c.end()
		}
		if t.Failed() {
			uuid, _ := c.dom.GetUUIDString()
			claim, err := os.ReadFile("/run/vmhuge/claims/" + uuid + ".starting")
			c.note("claim: %v %s", err, claim)
			t.Fatalf("round %d, CHAOS_SEED=%d:\n%s", round, seed, strings.Join(c.log, "\n"))
		}
		if (round+1)%25 == 0 {
			t.Logf("%d rounds of %d, with %d guests and %d kills", round+1, rounds, c.guests, c.kills)
		}
	}
	t.Logf("grown %d times, shrunk %d times, %d of the calls killed, %d failed, %d DIMMs removed by others; %d guests, %d growths that were sure", c.grown, c.shrunk, c.kills, c.failed, c.removed, c.guests, c.sures)
	// Of few rounds chance may kill no call, nor shrink the guest.
	if c.grown == 0 || rounds >= 100 && (c.kills == 0 || c.shrunk == 0 || c.removed == 0 || c.sures == 0) {
		t.Error("nothing was tried")
	}
}

type growthChaos struct {
	growth
	doms     [3]*libvirt.Domain // for the first no pages are reserved, for the others 64 and 128
	name     string             // of the one that runs
	reserved int                // for its growth, at its start
	random   *rand.Rand
	slack    int // pages that virtio-mem may yet plug or unplug, as a call was killed

	mu                                                   sync.Mutex
	log                                                  []string
	grown, shrunk, kills, failed, removed, guests, sures int
}

func (c *growthChaos) begin() {
	c.t.Helper()
	turn := []int{0, 1, 0, 2}[c.guests%4]
	c.dom, c.reserved = c.doms[turn], 64*turn
	c.name = nameOf(c.t, c.dom)
	if c.reserved > 0 {
		done(c.t, "start", c.name)
	} else {
		start(c.t, c.dom)
	}
	greeting(c.t, c.dom)
	c.guests++
	c.log = nil
	c.slack = 0
}

func (c *growthChaos) runs() bool {
	if c.dom == nil {
		return false
	}
	active, err := c.dom.IsActive()
	if err != nil {
		c.t.Fatal(err)
	}
	return active
}

// disturb makes one change, or two at once, each of which may be cut short.
func (c *growthChaos) disturb() {
	c.note("--- round")
	dimms, virtio := c.devices()
	var all sync.WaitGroup
	for range 1 + c.random.IntN(2) {
		// Of a DIMM Linux uses, and gives up, whole blocks of 128 MiB.
		device, by, how, after := "--dimm", 128, c.random.IntN(4), time.Duration(c.random.IntN(1200))*time.Millisecond
		if c.random.IntN(2) == 0 {
			device, by = "--virtio-mem", 32*(1+c.random.IntN(4))
		}
		has := dimms
		if device == "--virtio-mem" {
			has = virtio
		}
		sign := "+"
		if chance := c.random.IntN(8); chance < 5 && 2*has >= by || chance == 0 { // now and then more than it has
			sign = "-"
		}
		all.Go(func() { c.resize(device, sign, by, how, after) })
	}
	if c.random.IntN(6) == 0 {
		all.Go(c.remove)
	}
	all.Go(c.verify)
	killed := c.random.IntN(20) == 0
	if killed {
		pid, after := pidOf(c.t, c.dom), time.Duration(c.random.IntN(2500))*time.Millisecond
		all.Go(func() {
			time.Sleep(after)
			c.note("kill of QEMU: %v", unix.Kill(pid, unix.SIGKILL))
		})
	}
	all.Wait()
	if killed {
		c.awaitEnd()
	}
}

// resize runs vmhuge memory: how 0 kills it after a time, 1 interrupts it.
func (c *growthChaos) resize(device, sign string, mib, how int, after time.Duration) {
	r := cutShort(how, after, "memory", c.name, fmt.Sprintf("%s%dM", sign, mib), device, "--timeout", "10s")
	c.note("%s%dM %s, %d after %s: %v: %s", sign, mib, device, how, after, r.err, r.out)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r.killed:
		c.kills++
	case r.err != nil:
		c.failed++
	case sign == "+":
		c.grown++
	default:
		c.shrunk++
	}
	// The guest may go on for a moment after what vmhuge saw last. What it refused it has not asked for.
	if device == "--virtio-mem" && (r.killed || r.err != nil && strings.Contains(r.out, "virtio-mem driver")) {
		c.slack += mib / 2
	}
}

// verify finds all of the guest's memory on huge pages at any moment.
func (c *growthChaos) verify() {
	time.Sleep(rand.N(1500 * time.Millisecond))
	if r := cutShort(uncut, 0, "verify", c.name); r.err != nil {
		time.Sleep(time.Second) // libvirt says of a QEMU that was just killed that it runs
		if c.runs() {
			c.t.Errorf("verify: %v: %s", r.err, r.out)
		}
	}
}

// remove is another program that removes a DIMM.
func (c *growthChaos) remove() {
	live, err := c.dom.GetXMLDesc(0)
	if err != nil {
		return // it has ended
	}
	_, dimm, found := strings.Cut(live, "<memory model='dimm'")
	dimm, _, whole := strings.Cut(dimm, "</memory>")
	if !found || !whole {
		return
	}
	err = c.dom.DetachDeviceFlags("<memory model='dimm'"+dimm+"</memory>", libvirt.DOMAIN_DEVICE_MODIFY_LIVE)
	c.note("another program removes a DIMM: %v", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.removed++
	}
}

func (c *growthChaos) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// settle waits until libvirt and QEMU have ended what they were asked for, and counts.
func (c *growthChaos) settle() {
	t := c.t
	libvirtIdle(t, c.dom)
	var last string
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		done(t, "status")
		if !c.runs() {
			c.ended()
			return
		}
		dimms, virtio := c.devices()
		has, total := pagesOf(t, pidOf(t, c.dom))[size2M], c.pool()
		least, most := 128+max(c.reserved, dimms+virtio), 128+max(c.reserved, dimms+virtio+c.slack)
		right := total >= least && total <= most && has <= total && has >= 128+dimms
		if now := fmt.Sprintf("%d pages in the pool, %d in the guest; DIMMs of %d, virtio-mem of %d, %d may come or go, %d were reserved", total, has, dimms, virtio, c.slack, c.reserved); now != last {
			c.note("%s", now)
			last = now
		}
		if right {
			return
		}
		if time.Now().After(end) { // a DIMM that it was asked for leaves it at some moment
			t.Error(last)
			return
		}
	}
}

// sure has the guest grow by a DIMM where so much is reserved that it can, whatever the host has.
func (c *growthChaos) sure() {
	if !c.runs() || c.slack > 0 {
		return
	}
	dimms, virtio := c.devices()
	if dimms+virtio+64 > c.reserved {
		return
	}
	if r := vmhuge(c.t, "memory", c.name, "+128M", "--dimm", "--host-reserve", "64T"); r.Code != 0 && c.runs() {
		if now, _ := c.devices(); now < dimms { // one has just left it, and its pages may not be back yet
			return
		}
		c.t.Errorf("it has grown by %d pages of %d that were reserved, and not by 64 more: %+v", dimms+virtio, c.reserved, r)
	}
	c.sures++
	c.settle()
}

// devices are the pages of the guest's DIMMs, and those that its virtio-mem has.
func (c *growthChaos) devices() (dimms, virtio int) {
	live, err := c.dom.GetXMLDesc(0)
	if err != nil {
		c.t.Fatal(err)
	}
	var dom struct {
		Memory []struct {
			Model   string `xml:"model,attr"`
			Size    int    `xml:"target>size"`
			Current int    `xml:"target>current"`
		} `xml:"devices>memory"`
	}
	if err := xml.Unmarshal([]byte(live), &dom); err != nil {
		c.t.Fatal(err)
	}
	for _, m := range dom.Memory {
		if m.Model == "dimm" {
			dimms += m.Size / size2M
		} else {
			virtio += m.Current / size2M
		}
	}
	return dimms, virtio
}

// end ends the guest in one way or another.
func (c *growthChaos) end() {
	if !c.runs() {
		return
	}
	switch c.random.IntN(3) {
	case 0:
		done(c.t, "stop", c.name, "--force", "--timeout", "0s")
	case 1:
		destroy(c.t, c.dom)
	case 2:
		_ = unix.Kill(pidOf(c.t, c.dom), unix.SIGKILL)
		c.awaitEnd()
	}
	c.ended()
}

// awaitEnd waits until libvirt has noticed that QEMU was killed.
func (c *growthChaos) awaitEnd() {
	waitUntil(c.t, "it is gone", func() bool { active, err := c.dom.IsActive(); return err == nil && !active })
}

// ended holds the pool to be as it was, with no claim on it.
func (c *growthChaos) ended() {
	done(c.t, "status")
	if n := c.pool(); n != 128 {
		c.t.Errorf("the guest has ended, and %d pages are in the pool", n)
	}
	wantClaims(c.t)
}
