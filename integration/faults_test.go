package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"
	"libvirt.org/go/libvirt"

	"vmhuge/explain"
	"vmhuge/hostprep"
	"vmhuge/internal/pages"
	"vmhuge/internal/versions"
	"vmhuge/launcher"
)

// fault is one break, of the host or of a domain, with what check must say of it
// and what explain must make of libvirt's words. A row that breaks nothing, or
// not enough, starts: says is empty.
type fault struct {
	name  string
	guest guest              // name and backing may be left open: pages of 2 MiB
	pages int                // free pages of 2 MiB; 0: 32, as many as the guest takes; -1: none
	setup func(t *testing.T) // breaks the host, and mends it with t.Cleanup
	// before is what happens to the domain after it is defined.
	before func(t *testing.T, dom *libvirt.Domain)
	after  func(t *testing.T, dom *libvirt.Domain) // takes that back

	verdict   hostprep.Verdict
	says      string        // of libvirt's words
	cause     string        // what explain calls it
	undefined bool          // libvirt refuses the definition already
	unseen    bool          // no check has evidence of the cause, and check says that it can't know
	blind     bool          // no check can see it, such as what another hook decides
	mends     bool          // vmhuge start then starts it
	fixable   bool          // check says that vmhuge start mends it; that is not tried
	small     bool          // it starts, and has no huge page
	tossed    bool          // nobody can know if it starts
	policy    bool          // it is about what vmhuge holds back
	instead   pages.Backing // on which vmhuge start then starts it
	of1G      bool          // the host must have pages of 1 GiB, or their mount beside the one that goes
	// with is what the libvirt here must do for the row, and without what it must not do yet.
	with, without versions.Rule
	unfilled      bool // it does not fill its last page: QEMU since 9.1 refuses that
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
			if f.of1G {
				need1G(t)
			}
			if !here(t, f.with) {
				t.Skip("since " + f.with.String())
			}
			if f.without.Does != "" && here(t, f.without) {
				t.Skip("before " + f.without.String())
			}
			begin := time.Now()
			f.run(t, &outcomes[i])
			outcomes[i].took = time.Since(begin)
		})
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	ran, uncertain := 0, 0
	fmt.Fprintln(w, "fault\tverdict\tstart\texplain\tvmhuge start\ttook")
	for i, o := range outcomes {
		if o.took == 0 { // -run left it out
			continue
		}
		ran++
		if o.verdict == string(hostprep.Unknown) {
			uncertain++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.1fs\n", faults[i].name, o.verdict, o.started, o.cause, o.mended, o.took.Seconds())
	}
	_ = w.Flush()
	t.Logf("\n%s%d faults, of %d of which nobody can know the outcome", table.String(), ran, uncertain)
}

func (f fault) run(t *testing.T, o *outcomeOf) {
	hostAsBefore(t)
	if f.pages == 0 {
		f.pages = 32
	}
	setPages(t, 0, size2M, max(0, f.pages))
	if f.unfilled && here(t, versions.FilledPages) {
		f.verdict, f.mends = hostprep.BadDomain, false
		if f.says != unmapped { // QEMU maps the pages first
			f.says, f.cause = "memory size must be multiple of", "unaligned"
		}
	}
	if (f.says == noMount || f.says == noSize) && !here(t, versions.NamesMount) {
		f.says = noBackend
	}
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
	if f.before != nil {
		f.before(t, dom)
	}
	if f.after != nil {
		defer f.after(t, dom)
	}
	said := checked(t, f.guest.name)
	o.verdict = string(said.Verdict)
	mendable := f.mends || f.fixable || f.verdict == hostprep.Ready || f.verdict == hostprep.Running || f.verdict == hostprep.Unknown
	if said.Verdict != f.verdict || said.Fixable != mendable {
		t.Errorf("check says %s, and fixable %v:\n%+v", said.Verdict, said.Fixable, said.Findings)
	}
	if f.blind && !slices.ContainsFunc(said.Findings, func(s hostprep.Finding) bool { return string(s.Cause) == "hook-refused" }) {
		t.Errorf("check says nothing of hooks: %+v", said.Findings)
	}
	if f.policy {
		f.withNothingToSpare(t)
	}
	err := tryStartPaused(dom)
	for tries := 0; withoutQEMUsWords(err) && tries < 3; tries++ {
		err = tryStartPaused(dom)
	}
	o.started = "fails"
	if err == nil {
		o.started = "starts"
	}
	switch {
	case f.tossed:
	case f.says != "":
		f.explained(t, err, o)
	case err != nil:
		t.Errorf("it does not start: %v", err)
	default:
		want := demanded(said)
		if f.small {
			o.started, want = "on small pages", pageCount{}
		}
		if diff := cmp.Diff(want, pagesOf(t, pidOf(t, dom))); diff != "" {
			t.Errorf("its huge pages (-want +got):\n%s", diff)
		}
		destroy(t, dom)
	}
	if !f.mends {
		return
	}
	o.mended = "no"
	if r := vmhuge(t, "start", "--paused", f.guest.name); r.Code != 0 {
		if f.of1G && r.Code == 4 && !isMicroVM(t) { // skips where the machine has no two whole GiB
			setPages(t, 0, size1G, 2)
		}
		t.Errorf("vmhuge start: %+v", r)
		return
	}
	o.mended = "starts"
	stopNow(t, f.guest.name)
	undone(t)
}

// withoutQEMUsWords says that libvirt looked for them in the domain's log before
// virtlogd, on a busy machine, had written them there, or saw QEMU's socket end first.
func withoutQEMUsWords(err error) bool {
	e := libvirt.Error{}
	return errors.As(err, &e) && explain.LacksQEMUsWords(e.Message)
}

// undone takes back what vmhuge start has mended, if anything.
func undone(t *testing.T) {
	t.Helper()
	if r := vmhuge(t, "undo"); r.Code != 0 {
		t.Errorf("undo: %+v", r)
	}
}

// checked is what check says of one domain.
func checked(t *testing.T, name string) launcher.Report {
	t.Helper()
	r := vmhuge(t, "check", "--json", name)
	var answer struct{ Domains []launcher.Report }
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || len(answer.Domains) != 1 {
		t.Fatalf("check: %v\n%+v", err, r)
	}
	return answer.Domains[0]
}

// demanded is what the guest takes, if it gets it, and not what is reserved for its growth.
func demanded(said launcher.Report) pageCount {
	n := pageCount{}
	for _, total := range said.Totals {
		n[int(total.PageSize.KiB())] += int(total.Pages)
	}
	for _, item := range said.Demand {
		if item.Kind == pages.Growth {
			n[int(item.PageSize.KiB())] -= int(item.Pages)
		}
	}
	return n.nonZero()
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
	if e := (libvirt.Error{}); errors.As(err, &e) && f.cause != "" {
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
	if !first.Seen && !f.blind && !f.undefined && !f.unseen {
		t.Errorf("explain has no evidence of %s:\n%s", first.ID, r.Stdout)
	}
	return first.ID
}

// TestFaults has them on this machine.
func TestFaults(t *testing.T) { runFaults(t, sampled(t, machineFaults())) }

func machineFaults() []fault {
	return slices.Concat(poolFaults, ofPolicies(policyFaults), mountFaults, accessFaults, domainFaults)
}
