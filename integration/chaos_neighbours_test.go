package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/hosttest"
)

// The neighbours of TestChaos: those who write the pools, whose command line is forged or
// can't be read, who call the hook from a script, whose own hook refuses starts, and who set
// the clock.

const chaosSysctl = "/etc/sysctl.d/50-others.conf"

// persistentOn is how many pages of 2 MiB each node has that stay when nobody uses them.
func (c *chaos) persistentOn() map[int]int {
	counts := map[int]int{}
	for node, p := range readTestPools(c.t)[size2M].Nodes {
		counts[node] = p.Total - p.Surplus
	}
	return counts
}

// write is a neighbour who sets a pool.
//
//	0: adds to what is there, or takes of it, while vmhuge writes nothing
//	1: sysctl --system: the number is in a file, and for all nodes together
//	2: a number for one node, at any moment
//	3: sysctl -w, at any moment
//	4: sysctl -w, while vmhuge writes nothing, which then looks before anybody sets a pool again
func (c *chaos) write(how, node, n int) {
	c.mu.Lock()
	c.disturbed = true // a guest whose hook has just found these pages free may lack them now
	c.writes++
	c.mu.Unlock()
	nodes := len(c.before)
	node %= nodes
	if nodes > 1 && how == 3 {
		how = 1 // which node gets how many is not to be foreseen while vmhuge writes
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	unlock := sync.OnceFunc(func() {})
	if how < 2 || how == 4 {
		unlock = sync.OnceFunc(c.quiet())
	}
	defer unlock()
	before, stamp, unopened := c.persistentOn(), ledgerStamp(), c.unopened()
	alone := !unfinished()
	switch how {
	case 0:
		c.put(nodePoolDir(node, size2M)+"/nr_hugepages", max(c.before[node], before[node]+n-30))
	case 1:
		sum := n
		for _, count := range c.before {
			sum += count
		}
		if err := os.WriteFile(chaosSysctl, fmt.Appendf(nil, "vm.nr_hugepages = %d\n", sum), 0o644); err != nil {
			c.t.Error(err)
		}
		c.put("/proc/sys/vm/nr_hugepages", sum)
	case 2:
		c.put(nodePoolDir(node, size2M)+"/nr_hugepages", c.before[node]+n)
	case 3:
		c.put("/proc/sys/vm/nr_hugepages", c.before[node]+n)
	case 4:
		sum := n - 30
		for _, count := range before {
			sum += count
		}
		c.put("/proc/sys/vm/nr_hugepages", max(0, sum))
	}
	after := c.persistentOn()
	if how == 4 {
		unlock()
		seen := c.run(c.program("vmhuge"), "status") == nil
		c.model.writeHost(before, after, unopened, alone, seen)
		c.note("write 4: %v, then %v, unopened %v, alone %v, seen %v", before, after, unopened, alone, seen)
		return
	}
	alone = alone && (how < 2 || stamp == ledgerStamp() && !strings.HasPrefix(stamp, "held"))
	if how > 1 && !alone {
		after[node] = c.before[node] + n // what is read may have vmhuge's
	}
	for on := range before {
		if how != 1 && on != node {
			continue
		}
		c.model.write(on, before[on], after[on], alone)
	}
	c.note("write %d of node %d: %v, then %v, alone %v", how, node, before, after, alone)
}

// unopened are the nodes whose files nobody has opened to write since vmhuge looked last: of
// these it can tell that a number was for the whole host.
func (c *chaos) unopened() map[int]bool {
	nodes := map[int]bool{}
	for node := range c.before {
		st, err := os.Stat(nodePoolDir(node, size2M) + "/nr_hugepages")
		nodes[node] = err == nil && st.ModTime().Equal(time.Unix(1, 0))
	}
	return nodes
}

func (c *chaos) put(path string, n int) {
	if err := os.WriteFile(path, []byte(strconv.Itoa(n)), 0); err != nil {
		c.t.Error(err)
	}
}

// quiet waits until vmhuge writes nothing, and keeps it from that. It lets the next run
// find out first what one that was killed has done.
func (c *chaos) quiet() (unlock func()) {
	if err := os.MkdirAll("/run/vmhuge", 0o755); err != nil {
		c.t.Error(err)
	}
	lock, err := os.OpenFile("/run/vmhuge/lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		c.t.Error(err)
		return func() {}
	}
	for {
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
			c.t.Error(err)
			break
		}
		if !unfinished() {
			break
		}
		_ = unix.Flock(int(lock.Fd()), unix.LOCK_UN)
		_ = c.run(c.program("vmhuge"), "status")
	}
	return func() { lock.Close() }
}

// ledgerStamp tells whether vmhuge may write at a time: it is another one after each
// change of the ledger, and begins with held while somebody has its lock.
func ledgerStamp() string {
	var stamp string
	for _, path := range []string{"/run/vmhuge", "/run/vmhuge/claims"} {
		if st, err := os.Stat(path); err == nil {
			stamp += " " + st.ModTime().String()
		}
	}
	st, err := os.Stat("/run/vmhuge/lock")
	if err != nil {
		return stamp
	}
	locks, _ := os.ReadFile("/proc/locks")
	inode := strconv.FormatUint(st.Sys().(*syscall.Stat_t).Ino, 10)
	for line := range strings.Lines(string(locks)) { // 1: FLOCK  ADVISORY  WRITE 1234 00:1a:5678 0 EOF
		if strings.Contains(line, " FLOCK ") && strings.Contains(line, ":"+inode+" ") && !strings.Contains(line, "->") {
			return "held" + stamp
		}
	}
	return stamp
}

// unfinished says whether a vmhuge was killed while it changed a pool.
func unfinished() bool {
	claims, _ := filepath.Glob("/run/vmhuge/claims/*")
	for _, claim := range claims {
		if text, _ := os.ReadFile(claim); strings.Contains(string(text), `"without"`) {
			return true
		}
	}
	return false
}

// forge starts a user's processes that say they are guests; of one the memory map is
// locked.
func (c *chaos) forge() {
	const nobody = 65534
	for i, name := range c.guests[:2] {
		dom := lookup(c.t, name)
		uuid, err := dom.GetUUIDString()
		_ = dom.Free()
		if err != nil {
			c.t.Fatal(err)
		}
		if i == 0 && !c.microVM {
			hosttest.HeldProcess(c.t, nobody, "-uuid", uuid)
		} else {
			hosttest.FakeQEMU(c.t, nobody, "-uuid", uuid)
		}
	}
}

// hold has a process of root's keep its memory map locked for a while: it may be any guest.
func (c *chaos) hold() (letGo func()) {
	pid, unlock := hosttest.HeldProcess(c.t, 0, "-uuid", "00000000-0000-4000-8000-000000000001")
	c.note("process %d holds its memory map", pid)
	return func() {
		unlock()
		_ = unix.Kill(pid, unix.SIGKILL)
		waitUntil(c.t, "the process is gone that held its memory map", func() bool { return unix.Kill(pid, 0) != nil })
	}
}

// refuse has another hook, which is called after ours, refuse all starts for a while.
func (c *chaos) refuse(operation string, until time.Duration) {
	c.mu.Lock()
	c.disturbed = true
	c.mu.Unlock()
	c.note("another hook refuses %s for %s", operation, until)
	refuseAt(c.t, operation)
	time.Sleep(until)
	refuseAt(c.t, "nothing") // libvirt may just be about to call it
}

// callHook has libvirt call the hook by itself, or from a script.
func (c *chaos) callHook(script bool) {
	if script == c.script && c.other == "" {
		return
	}
	c.script = script
	const inner = "/etc/libvirt/hook-of-script/90-vmhuge"
	program := c.program("vmhuge-hook")
	text, err := os.ReadFile(program)
	if err == nil && script {
		err = os.MkdirAll(filepath.Dir(inner), 0o755)
	}
	if err == nil && script {
		err = replaceProgram(inner, text)
		text = []byte("#!/bin/sh\n" + inner + " \"$@\"\nexit $?\n")
	}
	if err == nil {
		err = replaceProgram(hookFile, text)
	}
	if err != nil {
		c.t.Error(err)
	}
	c.note("the hook is %s, called from a script: %v", program, script)
}

// replaceProgram replaces one that may run.
func replaceProgram(path string, text []byte) error {
	made := filepath.Join(filepath.Dir(filepath.Dir(path)), ".new-"+filepath.Base(path))
	if err := os.WriteFile(made, text, 0o755); err != nil {
		return err
	}
	return os.Rename(made, path)
}

// setClock sets the clock of a micro-VM so much on. The machine's is everybody's.
func (c *chaos) setClock(by time.Duration) {
	now := unix.NsecToTimeval(time.Now().Add(by).UnixNano())
	if err := unix.Settimeofday(&now); err != nil {
		c.t.Error(err)
	}
	c.note("the clock is set on by %s", by)
}
