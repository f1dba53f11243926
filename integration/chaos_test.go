package integration

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"
)

// TestChaos starts and stops guests in every way there is while vmhuge, its
// hook, libvirtd and QEMU are killed at random moments and others set the pools, forge
// guests and hold their memory maps. Whatever happens, no guest that runs is lost, and
// once all guests are gone the pools are as the last writer has set them.
//
// CHAOS_ROUNDS is how many rounds there are, CHAOS_SEED repeats a run. CHAOS_OTHER is a folder with
// the programs of another version, which are run in turn with these.
func TestChaos(t *testing.T) {
	wreak(t, number(t, "CHAOS_ROUNDS", 12), false)
}

// TestMicroVMChaosNodes does it on two nodes, and sets the clock, too.
func TestMicroVMChaosNodes(t *testing.T) {
	if os.Getenv("CHAOS_ROUNDS") == "" {
		t.Skip("just chaos-nodes runs it: it takes half an hour")
	}
	if inMicroVM(t, twoNodes.within(3*time.Hour)) {
		wreak(t, number(t, "CHAOS_ROUNDS", 0), true)
	}
}

func wreak(t *testing.T, rounds int, microVM bool) {
	seed := number(t, "CHAOS_SEED", int(time.Now().UnixNano()%1e9))
	t.Logf("CHAOS_ROUNDS=%d CHAOS_SEED=%d", rounds, seed)
	hostAsBefore(t)
	nodes := len(readTestPools(t)[size2M].Nodes)
	for node := range nodes {
		setPages(t, node, size2M, 0)
	}
	installHook(t)
	c := &chaos{t: t, random: rand.New(rand.NewPCG(uint64(seed), 0)), microVM: microVM, other: os.Getenv("CHAOS_OTHER")}
	c.before = c.persistentOn()
	c.model = newChaosModel(c.before)
	t.Cleanup(func() {
		c.asBefore()
		_ = os.Remove(chaosSysctl)
		left, _ := filepath.Glob("/dev/hugepages*/libvirt/qemu/*-" + guestPrefix + "chaos-*") // by a libvirtd that was killed
		for _, dir := range append(left, "/etc/libvirt/hook-of-script", hookDir+"/95-others") {
			_ = os.RemoveAll(dir)
		}
	})
	for i := range 6 {
		g := on(i % nodes)
		g.onReboot = "restart"
		if nodes == 1 {
			g.more = ""
		}
		// Private memory, which arms the kernel, and shared, which does not.
		if i%4 > 1 {
			g.backing += "<access mode='shared'/>"
		}
		g.name, g.memory = fmt.Sprintf("%schaos-%d", guestPrefix, i), fmt.Sprintf("<memory unit='MiB'>%d</memory>", 32+16*i)
		define(t, g)
		c.guests = append(c.guests, g.name)
	}
	c.forge()
	for c.round = range rounds {
		c.disturb()
		c.settle()
		if c.random.IntN(8) == 0 { // as an upgrade does it, with running guests
			restartLibvirtd(t)
			c.settle()
		}
		if c.round%5 == 4 || c.round == rounds-1 {
			c.end()
		}
		if t.Failed() {
			t.Fatalf("round %d, CHAOS_SEED=%d:\n%s", c.round, seed, strings.Join(c.log, "\n"))
		}
		if (c.round+1)%50 == 0 {
			t.Logf("%d rounds of %d, with %d starts and %d kills", c.round+1, rounds, c.starts, c.kills)
		}
	}
	t.Logf("%d starts, %d of them refused or cut short; %d kills, %d writes; stops of each kind: %v", c.starts, c.failed, c.kills, c.writes, c.stops)
	if c.starts == c.failed || c.kills == 0 || c.writes == 0 || rounds >= 100 && slices.Contains(c.stops[:], 0) {
		t.Error("nothing was tried")
	}
}

// chaos is the state of a run.
type chaos struct {
	t      *testing.T
	random *rand.Rand
	round  int
	guests []string
	before map[int]int // pages that stay, at the beginning, by node
	model  chaosModel
	script bool   // that calls the hook
	other  string // CHAOS_OTHER
	turn   atomic.Int64
	// microVM says that the clock may be set, and that its kernel has no FUSE, with which
	// memory maps are locked.
	microVM bool

	writing sync.Mutex // held by the neighbour who sets the pools

	mu             sync.Mutex
	log            []string // of the round
	starts, failed int
	kills, writes  int
	stops          [6]int // that went well, by how
	// doomed are the QEMU processes that we killed ourselves.
	doomed map[int]bool
	// disturbed says that something was killed in this round, so that a start
	// may have failed for that.
	disturbed bool
}

func (c *chaos) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// disturb lets a few things happen at once.
func (c *chaos) disturb() {
	c.log, c.doomed, c.disturbed = nil, map[int]bool{}, false
	running := qemus()
	c.callHook(c.random.IntN(3) == 0)
	if c.random.IntN(10) == 0 && !c.microVM {
		defer c.hold()()
	}
	if c.microVM && c.random.IntN(4) == 0 {
		c.setClock(time.Duration(c.random.IntN(7200)-3600) * time.Second)
	}
	var all sync.WaitGroup
	order := c.random.Perm(len(c.guests))
	for _, i := range order[:2+c.random.IntN(3)] {
		name, after := c.guests[i], c.moment()
		act, how := c.stop, c.random.IntN(6)
		if running[name] == 0 {
			act, how = c.start, c.random.IntN(3)
		}
		all.Add(1)
		go func() {
			defer all.Done()
			time.Sleep(after)
			act(name, how)
		}()
	}
	if c.random.IntN(4) == 0 {
		operation := []string{"prepare", "start", "restore"}[c.random.IntN(3)]
		after, until := c.moment(), c.moment()
		all.Go(func() {
			time.Sleep(after)
			c.refuse(operation, until)
		})
	}
	for range c.random.IntN(3) {
		what, after, pick := c.random.IntN(4), c.moment(), c.random.IntN(1000)
		all.Add(1)
		go func() {
			defer all.Done()
			time.Sleep(after)
			c.kill(what, pick)
		}()
	}
	for range c.random.IntN(3) {
		how, node, n, after := c.random.IntN(5), c.random.IntN(2), c.random.IntN(60), c.moment()
		all.Add(1)
		go func() {
			defer all.Done()
			time.Sleep(after)
			c.write(how, node, n)
		}()
	}
	all.Wait()
	for name, pid := range running {
		if now := qemus()[name]; now != pid && !c.doomed[pid] {
			c.t.Errorf("%s ran as process %d, which nobody killed, and is now %d", name, pid, now)
		}
	}
}

// program is the path of a program of this version or, in turn, of the other.
func (c *chaos) program(name string) string {
	if c.other != "" && c.turn.Add(1)%2 == 0 {
		return filepath.Join(c.other, name)
	}
	return filepath.Join(scratch, "bin", name)
}

func (c *chaos) moment() time.Duration { return time.Duration(c.random.IntN(700)) * time.Millisecond }

func (c *chaos) start(name string, how int) {
	var err error
	switch how {
	case 0: // vmhuge start
		err = c.run(c.program("vmhuge"), "start", "--paused", name)
	case 1: // libvirt, as virt-manager does
		err = c.run("virsh", "-q", "start", "--paused", name)
	case 2: // a vmhuge that is killed in between
		err = c.run("timeout", "-s", "KILL", fmt.Sprintf("0.%03d", 20+c.moment().Milliseconds()),
			c.program("vmhuge"), "start", "--paused", name)
		c.mu.Lock()
		c.disturbed = c.disturbed || err != nil
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starts++
	if err != nil {
		c.failed++
		c.log = append(c.log, fmt.Sprintf("start of %s (%d): %v", name, how, err))
	}
	if err != nil && !c.disturbed {
		c.t.Errorf("nothing was in its way, and yet: starting %s: %v", name, err)
	}
}

// stop ends a guest; something else may have ended it at the same time.
func (c *chaos) stop(name string, how int) {
	pid := qemus()[name]
	if pid == 0 { // killed meanwhile; a signal to pid 0 would reach the whole process group
		return
	}
	if how != 5 {
		c.mu.Lock()
		c.doomed[pid] = true
		c.mu.Unlock()
	}
	var err error
	switch how {
	case 0:
		err = c.run(c.program("vmhuge"), "stop", "--force", "--timeout", "0s", name)
	case 1:
		err = c.run("virsh", "-q", "destroy", name)
	case 2:
		err = unix.Kill(pid, unix.SIGKILL)
	case 3: // a crash of QEMU's own
		err = unix.Kill(pid, unix.SIGSEGV)
	case 4: // it is restored at its next start
		err = c.run("virsh", "-q", "managedsave", "--paused", name)
	case 5: // it goes on
		err = c.run("virsh", "-q", "reset", name)
	}
	c.note("stop of %s (%d), process %d: %v", name, how, pid, err)
	if err == nil {
		c.mu.Lock()
		c.stops[how]++
		c.mu.Unlock()
	}
}

func (c *chaos) run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// kill ends something with SIGKILL.
func (c *chaos) kill(what, pick int) {
	c.mu.Lock()
	c.disturbed = true
	c.kills++
	c.mu.Unlock()
	switch what {
	case 0, 1: // a vmhuge or a hook, if one comes by within a moment
		program := []string{"vmhuge", "90-vmhuge"}[what]
		for range 200 {
			if pids := processes(func(path, cmdline string) bool {
				// Where reconnect or started end badly, libvirt itself kills the guest;
				// and of a program that has just been executed the arguments are not known.
				return filepath.Base(path) == program && cmdline != "" &&
					!strings.Contains(cmdline, "\x00reconnect\x00") && !strings.Contains(cmdline, "\x00started\x00")
			}); len(pids) > 0 {
				c.note("kill of %s: %v", program, unix.Kill(pids[pick%len(pids)], unix.SIGKILL))
				return
			}
			time.Sleep(time.Millisecond)
		}
	case 2: // a guest, started or starting
		if pids := processes(func(path, cmdline string) bool {
			return strings.HasPrefix(filepath.Base(path), "qemu-system") && strings.Contains(cmdline, "guest="+guestPrefix)
		}); len(pids) > 0 {
			pid := pids[pick%len(pids)]
			c.mu.Lock()
			c.doomed[pid] = true
			c.mu.Unlock()
			c.note("kill of QEMU %d: %v", pid, unix.Kill(pid, unix.SIGKILL))
		}
	case 3: // libvirtd
		c.mu.Lock()
		defer c.mu.Unlock()
		_ = libvirtd.libvirtd.Process.Kill()
		_ = libvirtd.libvirtd.Wait()
		c.log = append(c.log, "kill of libvirtd")
		if err := libvirtd.startLibvirtd(); err != nil {
			c.t.Error(err)
		}
	}
}

// settle waits until libvirt knows all that happened, and ends what a killed
// libvirtd has forgotten.
func (c *chaos) settle() {
	known := map[string]bool{}
	waitUntil(c.t, "libvirtd knows its guests", func() bool {
		for _, name := range c.guests {
			dom := lookup(c.t, name)
			active, err := dom.IsActive()
			if known[name] = active; active {
				control, cerr := dom.GetControlInfo(0)
				if cerr == nil && control.State != libvirt.DOMAIN_CONTROL_OK {
					err = errors.New("busy")
				}
			}
			_ = dom.Free()
			if err != nil {
				return false
			}
		}
		return true
	})
	for name, pid := range qemus() {
		if !known[name] {
			c.note("%s, process %d, was forgotten by libvirtd", name, pid)
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	for name, pid := range qemus() {
		var kib int
		if dom := lookup(c.t, name); known[name] {
			if info, err := dom.GetInfo(); err == nil {
				kib = int(info.MaxMem)
			}
			_ = dom.Free()
		}
		// libvirtd goes on with the start of a vmhuge that was killed, and calls the guest
		// active before QEMU has its pages, or fails for want of them.
		for end := time.Now().Add(2 * time.Minute); known[name]; time.Sleep(20 * time.Millisecond) {
			have, err := readPages(pid)
			if err != nil || have[size2M]*size2M == kib {
				break
			}
			if time.Now().After(end) {
				c.t.Errorf("%s has %d KiB of huge pages, not %d", name, have[size2M]*size2M, kib)
				break
			}
		}
	}
}

// end stops all guests and counts.
func (c *chaos) end() {
	for name, pid := range qemus() {
		c.note("end of %s", name)
		if c.random.IntN(2) == 0 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if err := c.run("virsh", "-q", "destroy", name); err != nil { // a killed libvirtd may have forgotten it
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	waitUntil(c.t, "all guests are gone", func() bool { return len(qemus()) == 0 })
	c.settle()
	timeIsUp(c.t)
	if out := done(c.t, "status").Stdout; strings.Contains(out, "set aside") {
		c.t.Error(out)
	}
	if claims, _ := filepath.Glob("/run/vmhuge/claims/*"); len(claims) > 0 {
		c.t.Errorf("no guest runs, and there are claims: %v", claims)
	}
	if wrong := c.model.wrong(c.persistentOn()); wrong != "" {
		c.t.Error(wrong)
	}
	for node, p := range readTestPools(c.t)[size2M].Nodes {
		if p.Surplus > 0 {
			c.t.Errorf("no guest runs, and node %d has %+v", node, p)
		}
	}
	c.asBefore()
}

// asBefore sets the pools as they were, while no guest runs.
func (c *chaos) asBefore() {
	for node, n := range c.before {
		c.put(nodePoolDir(node, size2M)+"/nr_hugepages", n)
	}
	c.model = newChaosModel(c.before)
}

// persistent is how many pages of 2 MiB stay when nobody uses them.
func persistent(t *testing.T) int {
	t.Helper()
	var n int
	if err := readNumber("/proc/sys/vm/nr_hugepages", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%q is no number", variable, text)
	}
	return n
}
