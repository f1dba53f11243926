package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"

	"vmhuge/hostprep"
)

// fault is one break, of the host or of a domain, with what check must say of it
// and what explain must make of libvirt's words. A row that breaks nothing, or
// not enough, starts: says is empty.
type fault struct {
	name  string
	guest guest              // name and backing may be left open: pages of 2 MiB
	pages int                // free pages of 2 MiB; 0: 32, as many as the guest takes; -1: none
	setup func(t *testing.T) // breaks the host, and mends it with t.Cleanup

	verdict   hostprep.Verdict
	says      string // of libvirt's words
	cause     string // what explain calls it
	undefined bool   // libvirt refuses the definition already
	blind     bool   // no check can see it: what a hook does is its own affair
	mends     bool   // vmhuge start then starts it
	small     bool   // it starts, and has no huge page
}

// outcomeOf is what came of a fault.
type outcomeOf struct {
	verdict, started, cause, mended string
	took                            time.Duration
}

// runFaults makes every fault happen, and prints what came of each.
func runFaults(t *testing.T, faults []fault) {
	t.Helper()
	outcomes := make([]outcomeOf, len(faults))
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			begin := time.Now()
			f.run(t, &outcomes[i])
			outcomes[i].took = time.Since(begin)
		})
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\tverdict\tstart\texplain\tvmhuge start\ttook")
	for i, o := range outcomes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.1fs\n", faults[i].name, o.verdict, o.started, o.cause, o.mended, o.took.Seconds())
	}
	_ = w.Flush()
	t.Log("\n" + table.String())
}

func (f fault) run(t *testing.T, o *outcomeOf) {
	hostAsBefore(t)
	if f.pages == 0 {
		f.pages = 32
	}
	setPages(t, 0, size2M, max(0, f.pages))
	if f.setup != nil {
		f.setup(t)
	}
	if f.guest.backing == "" {
		f.guest.backing = pages2M
	}
	if f.guest.name = domainName(t); f.undefined {
		o.verdict, o.started = "-", "not defined"
		_, err := tryDefine(t, f.guest)
		f.explained(t, err, o)
		return
	}
	dom := define(t, f.guest)
	r := vmhuge(t, "check", "--json", f.guest.name)
	verdict := verdictOf(t, r)
	o.verdict = string(verdict)
	if verdict != f.verdict {
		t.Errorf("check says %s, not %s\n%s", verdict, f.verdict, r.Stdout)
	}
	var err error
	taken := takenPages(t, func() { err = tryStartPaused(dom) })
	if f.says == "" {
		o.started = "starts"
		if f.small {
			o.started = "on small pages"
		}
		if err != nil || f.small != (len(taken) == 0) {
			t.Errorf("it has %v, %v", taken, err)
		}
		return
	}
	o.started = "fails"
	f.explained(t, err, o)
	if !f.mends {
		return
	}
	o.mended = "no"
	if r := vmhuge(t, "start", "--paused", f.guest.name); r.Code != 0 {
		t.Errorf("vmhuge start: %+v", r)
		return
	}
	o.mended = "starts"
	stopNow(t, f.guest.name)
	undone(t)
}

// undone takes back what vmhuge start has mended, if anything.
func undone(t *testing.T) {
	t.Helper()
	if r := vmhuge(t, "undo"); r.Code != 0 {
		t.Errorf("undo: %+v", r)
	}
}

func verdictOf(t *testing.T, r result) hostprep.Verdict {
	t.Helper()
	var answer struct {
		Domains []struct{ Verdict hostprep.Verdict }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || len(answer.Domains) != 1 {
		t.Fatalf("check: %v\n%+v", err, r)
	}
	return answer.Domains[0].Verdict
}

// explained holds explain to name the fault by libvirt's words, and by the
// domain's log where it was QEMU that said it.
func (f fault) explained(t *testing.T, err error, o *outcomeOf) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), f.says) {
		t.Errorf("libvirt says:\n%v\nand should say:\n%s", err, f.says)
		if err == nil {
			return
		}
	}
	if e := (libvirt.Error{}); errors.As(err, &e) {
		o.cause = f.explain(t, e.Message)
		if strings.Contains(e.Message, "qemu-system-") {
			f.explain(t)
		}
	}
}

func (f fault) explain(t *testing.T, text ...string) (id string) {
	t.Helper()
	r := vmhuge(t, append([]string{"explain", "--json", "--domain", f.guest.name, "--"}, text...)...)
	var answer struct {
		Causes []struct {
			ID   string
			Seen bool
		}
	}
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || len(answer.Causes) == 0 || r.Code != 0 {
		t.Errorf("explain %q: %v\n%+v", text, err, r)
		return "unknown"
	}
	first := answer.Causes[0]
	if first.ID != f.cause {
		t.Errorf("explain %q: %s, not %s\n%s", text, first.ID, f.cause, r.Stdout)
	}
	if !first.Seen && !f.blind && !f.undefined {
		t.Errorf("explain has no evidence of %s:\n%s", first.ID, r.Stdout)
	}
	return first.ID
}

// The breaks. Each is undone when the test ends.

// mountAgain takes a hugetlbfs away and, unless options is empty, mounts another
// in its place. libvirtd is restarted only to put things back.
func mountAgain(target, options string) func(t *testing.T) {
	return func(t *testing.T) {
		unmount(t, target)
		if options != "" {
			mountHugetlbfs(t, target, options)
		}
		t.Cleanup(func() {
			for unix.Unmount(target, 0) == nil {
			}
			size := "2M"
			if target == mount1G {
				size = "1G"
			}
			mountHugetlbfs(t, target, "pagesize="+size+",mode=0755")
			restartLibvirtd(t)
		})
	}
}

func unmount(t *testing.T, target string) {
	t.Helper()
	if err := unix.Unmount(target, 0); err != nil {
		t.Fatalf("unmounting %s: %v", target, err)
	}
}

func mountHugetlbfs(t *testing.T, target, options string) {
	t.Helper()
	if err := unix.Mount("hugetlbfs", target, "hugetlbfs", 0, options); err != nil {
		t.Fatalf("mounting %s (%s): %v", target, options, err)
	}
}

// all makes several breaks, one after the other.
func all(breaks ...func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) {
		for _, b := range breaks {
			b(t)
		}
	}
}

func mode(path string, mode os.FileMode) func(t *testing.T) {
	return func(t *testing.T) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(path, info.Mode()) })
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
}

// file writes a file that was not there, or puts another text into one.
func file(path, text string, mode os.FileMode) func(t *testing.T) {
	return func(t *testing.T) {
		before, err := os.ReadFile(path)
		t.Cleanup(func() {
			if err != nil {
				_ = os.Remove(path)
				return
			}
			_ = os.WriteFile(path, before, 0)
		})
		if err := os.WriteFile(path, []byte(string(before)+text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
}

// reserve has a program keep pages that it does not touch.
func reserve(n int) func(t *testing.T) {
	return func(t *testing.T) {
		mem, err := unix.Mmap(-1, 0, n*size2M*1024, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_HUGETLB)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Munmap(mem) })
	}
}

func overcommit(n int) func(t *testing.T) {
	return func(t *testing.T) {
		path := poolDir + "/hugepages-2048kB/nr_overcommit_hugepages"
		var before int
		if err := readNumber(path, &before); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.WriteFile(path, []byte(fmt.Sprint(before)), 0) })
		if err := os.WriteFile(path, []byte(fmt.Sprint(n)), 0); err != nil {
			t.Fatal(err)
		}
	}
}
