package main

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/change"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
)

const claim = "run/vmhuge/claims/" + uuid + ".starting"

// untouchable fails the test of who reads or writes it.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("stdin was read")
	return 0, errors.New("no")
}
func (u untouchable) Write([]byte) (int, error) { u.t.Error("it wrote"); return 0, errors.New("no") }

func TestServesNothingElse(t *testing.T) {
	host := fixture(t)
	const path = "/etc/libvirt/hooks/qemu.d/90-vmhuge"
	for _, args := range [][]string{
		nil, {path}, {path, "web1"}, {path, "web1", "prepare"}, {path, "web1", "prepare", "begin"},
		{path, "web1", "start", "begin", "-"}, {path, "web1", "started", "begin", "-"}, {path, "web1", "stopped", "end", "-"},
		{path, "web1", "reconnect", "begin", "-"}, {path, "web1", "migrate", "begin", "-"}, {path, "web1", "attach", "begin", "-"},
		{path, "web1", "prepare", "end", "-"}, {path, "web1", "release", "begin", "-"}, {path, "web1", "Prepare", "begin", "-"},
		{path, "web1", "", "", ""}, {path, "prepare", "begin", "-", "-"},
		{"/etc/libvirt/hooks/lxc.d/90-vmhuge", "web1", "prepare", "begin", "-"},
		{"/etc/libvirt/hooks/lxc", "web1", "prepare", "begin", "-"},
		{"/etc/libvirt/hooks/network", "web1", "prepare", "begin", "-"},
		{path, "web1", "restore", "begin", "-"}, // not without --drop-if-short
	} {
		if code := run(host, args, untouchable{t}, untouchable{t}, untouchable{t}); code != 0 {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
	if left := traces(t, host); left != "" {
		t.Error("it left", left)
	}
}

// minSize has the guest's mount keep 10 pages, which the kernel has reserved.
func minSize(t *testing.T, host host.Host) {
	file("proc/self/mountinfo", "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n44 27 0:41 / /dev/hugepages rw - hugetlbfs hugetlbfs rw,pagesize=2M,min_size=20971520\n")(t, host)
	file("sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "10\n")(t, host)
}

func TestCalls(t *testing.T) {
	const drop = `{"drop_if_short":true,"host_reserve_kib":16384000}`
	const small = "<domain type='qemu'><name>web1</name><uuid>" + uuid + "</uuid><memory>65536</memory></domain>"
	const short = "vmhuge: starting web1: 1 more page of 2 MiB is needed: 1 is missing, as the host can spare 0:"
	unreadable := hook.Event{Result: hook.Failed}
	for name, test := range map[string]struct {
		setUp    func(t *testing.T, host host.Host)
		op       string // prepare
		name     string // web1
		document string
		want     answer
		event    hook.Event // Result, and words of Why
		left     string
	}{
		"ready":              {document: domain(40), event: hook.Event{Result: hook.Held}, left: claim + " run/vmhuge/lock"},
		"no huge pages":      {document: small, event: hook.Event{Result: hook.Passed}},
		"small pages":        {document: strings.ReplaceAll(domain(32), "2048", "4"), event: hook.Event{Result: hook.Passed}},
		"kept by min_size=":  {setUp: minSize, document: domain(40), event: hook.Event{Result: hook.Held}, left: claim + " run/vmhuge/lock"},
		"more than is kept":  {setUp: minSize, document: domain(41), want: answer{1, "", short}, event: hook.Event{Result: hook.Refused, Reason: hook.HostReserve}, left: "run/vmhuge/lock"},
		"one page short":     {document: domain(41), want: answer{1, "", short}, event: hook.Event{Result: hook.Refused, Reason: hook.HostReserve, Why: "1 is missing"}, left: "run/vmhuge/lock"},
		"of 4 MiB":           {document: strings.Replace(domain(40), "<devices/>", "<devices>"+strings.Repeat("<disk type='file'/>\n", 4<<20/20)+"</devices>", 1), event: hook.Event{Result: hook.Held}, left: claim + " run/vmhuge/lock"},
		"of 9 MiB":           {document: domain(41) + strings.Repeat(" ", 9<<20), event: hook.Event{Result: hook.Failed, Why: "longer than 8 MiB"}},
		"empty":              {event: hook.Event{Result: hook.Passed}},
		"cut off":            {document: domain(41)[:200], event: unreadable},
		"entities":           {document: "<!DOCTYPE domain [<!ENTITY a '&b;&b;'><!ENTITY b 'x'>]>" + domain(41), event: unreadable},
		"not UTF-8":          {document: strings.Replace(domain(41), "web1", "web\xff", 1), event: unreadable},
		"a huge number":      {document: strings.Replace(domain(41), "82", "99999999999999999999999", 1), event: unreadable},
		"more than there is": {document: strings.Replace(domain(41), "82", "8796093022207", 1), event: hook.Event{Result: hook.Failed, Why: "more memory than there is"}},
		"not a domain":       {document: "<network><hugepages/></network>", event: unreadable},
		"no UUID":            {document: strings.Replace(domain(40), uuid, "../../../etc/passwd", 1), event: hook.Event{Result: hook.Failed, Why: "is no UUID"}, left: "run/vmhuge/lock"},
		"no UUID, short":     {document: strings.Replace(domain(41), uuid, "\n", 1), want: answer{1, "", "vmhuge: starting web1: 40 of 100 pages of 2 MiB are free, 41 pages of 2 MiB are needed, and none can be added: "}, event: hook.Event{Result: hook.Refused, Reason: hook.NotTried}, left: "run/vmhuge/lock"},
		"an odd name":        {name: "../a\nb\x1b[31m", document: strings.Replace(domain(41), "web1", "../a\nb", 1), want: answer{1, "", "vmhuge: starting ../a b [31m: 1 more page"}, event: hook.Event{Result: hook.Refused, Reason: hook.HostReserve}, left: "run/vmhuge/lock"},
		"held by a start":    {setUp: begin(uuid, 40), document: domain(40), event: hook.Event{Result: hook.Held}, left: claim + " run/vmhuge/lock"},
		"promised to another": {setUp: begin("00000000-f6a4-8304-79aa-97f2502e193f", 10), document: domain(31), want: answer{1, "", short}, event: hook.Event{Result: hook.Refused, Reason: hook.HostReserve},
			left: "run/vmhuge/claims/00000000-f6a4-8304-79aa-97f2502e193f.starting run/vmhuge/lock"},
		"bad settings":    {setUp: file("etc/vmhuge/hook.json", "{"), document: domain(40), event: hook.Event{Result: hook.Held, Why: "hook.json"}, left: claim + " run/vmhuge/lock"},
		"bad directories": {setUp: file("etc/vmhuge/libvirt.json", "{"), document: domain(40), event: hook.Event{Result: hook.Held, Why: "libvirt.json"}, left: claim + " run/vmhuge/lock"},
		"a bad ledger": {setUp: file(claim, "{"), document: domain(40), event: hook.Event{Result: hook.Held, Why: "is set aside"},
			left: claim + " run/vmhuge/lock run/vmhuge/set-aside/" + uuid + ".starting"},
		"no ledger":        {setUp: file("run/vmhuge/claims", ""), document: domain(40), event: hook.Event{Result: hook.Failed, Why: "not a directory"}, left: "run/vmhuge/lock"},
		"no ledger, short": {setUp: file("run/vmhuge/claims", ""), document: domain(41), want: answer{1, "", "vmhuge: starting web1: 40 of 100 pages of 2 MiB are free, 41 pages of 2 MiB are needed, and none can be added: "}, event: hook.Event{Result: hook.Refused, Reason: hook.NotTried, Why: "not a directory"}, left: "run/vmhuge/lock"},
		"no such pages":    {document: strings.Replace(domain(40), "2048", "4096", 1), event: hook.Event{Result: hook.Held, Why: "the kernel has pages of"}, left: claim + " run/vmhuge/lock"},

		"release of nothing":  {op: "release", document: "<", event: hook.Event{}},
		"release":             {op: "release", setUp: begin(uuid, 40), document: domain(40), event: hook.Event{Result: hook.Released}, left: "run/vmhuge/lock"},
		"release of no huge":  {op: "release", setUp: begin(uuid, 40), document: small, event: hook.Event{Result: hook.Released}, left: "run/vmhuge/lock"},
		"release of another":  {op: "release", setUp: begin(uuid, 40), document: strings.Replace(small, "6695", "0000", 1), event: hook.Event{}, left: claim + " run/vmhuge/lock"},
		"release, unreadable": {op: "release", setUp: begin(uuid, 40), document: domain(40)[:80], event: unreadable, left: claim + " run/vmhuge/lock"},
		"release, no ledger": {op: "release", setUp: func(t *testing.T, host host.Host) {
			begin(uuid, 40)(t, host)
			must(t, os.Remove(host.Root.Path("run/vmhuge/lock")))
			must(t, os.Mkdir(host.Root.Path("run/vmhuge/lock"), 0o755))
		}, document: domain(40), event: hook.Event{Result: hook.Failed, Why: "is a directory"}, left: claim},

		"restore":             {op: "restore", setUp: file("etc/vmhuge/hook.json", drop), document: domain(40), event: hook.Event{Result: hook.Held}, left: claim + " run/vmhuge/lock"},
		"restore, short":      {op: "restore", setUp: file("etc/vmhuge/hook.json", drop), document: domain(41), want: answer{0, "<domain type='qemu' id='7'>\n  <name>web1</name>\n  <uuid>" + uuid + "</uuid>\n  <memory unit='MiB'>82</memory>\n  <devices/>\n</domain>\n", ""}, event: hook.Event{Result: hook.Dropped, Why: "1 is missing"}, left: "run/vmhuge/lock"},
		"restore, no huge":    {op: "restore", setUp: file("etc/vmhuge/hook.json", drop), document: small, event: hook.Event{}},
		"restore, unreadable": {op: "restore", setUp: file("etc/vmhuge/hook.json", drop), document: domain(41)[:200], event: unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			host := fixture(t)
			if test.setUp != nil {
				test.setUp(t, host)
			}
			if test.op == "" {
				test.op = "prepare"
			}
			if test.name == "" {
				test.name = "web1"
			}
			subop := "begin"
			if operation([]string{"qemu", test.name, test.op, "end", "-"}) != nil {
				subop = "end"
			}
			got := runHook(host, test.document, test.name, test.op, subop)
			if got.code != test.want.code || got.stdout != test.want.stdout || !strings.HasPrefix(got.stderr, test.want.stderr) || test.want.stderr == "" && got.stderr != "" {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
			if lines := strings.Count(got.stderr, "\n"); lines != got.code {
				t.Errorf("%d lines: %q", lines, got.stderr)
			}
			event := lastEvent(t, host)
			if event.Result != test.event.Result || event.Reason != test.event.Reason || !strings.Contains(event.Why, test.event.Why) || event.Result == hook.Held && test.event.Why == "" && event.Why != "" {
				t.Errorf("logged %+v", event)
			}
			if event.Result != "" && (event.Operation != test.op || event.Name != test.name) {
				t.Errorf("logged %+v", event)
			}
			if event.Result != "" && !slices.Contains(hook.Results[test.op], event.Result) {
				t.Errorf("the metrics don't expect %s of %s", event.Result, test.op)
			}
			if left := traces(t, host); left != test.left {
				t.Errorf("it left %s\nnot     %s", left, test.left)
			}
		})
	}
}

// Guests that end at the same time: a call for one finds the other gone, and the call for that
// one then has nothing to do. Each is in the log once.
func TestReleasesAnother(t *testing.T) {
	host := fixture(t)
	other := strings.Replace(uuid, "6695", "0000", 1)
	begin(uuid, 10)(t, host)
	book, err := ledger.Open(t.Context(), host.Root)
	must(t, err)
	must(t, book.Begin(ledger.Claim{UUID: other, Name: "web2", Owner: process.Process{PID: 4242}})) // which has ended
	book.Close()
	runHook(host, domain(10), "web1", "release", "end")
	runHook(host, strings.Replace(domain(10), uuid, other, 1), "web2", "release", "end")
	events, err := hook.Events(host)
	must(t, err)
	var released []string
	for _, e := range events {
		if e.Operation == "release" && e.Result == hook.Released {
			released = append(released, e.UUID)
		}
	}
	if len(events) != 2 || !slices.Equal(released, []string{other, uuid}) {
		t.Errorf("logged %+v", events)
	}
}

// begin makes a claim that this process answers for.
func begin(uuid string, pages int64) func(*testing.T, host.Host) {
	return func(t *testing.T, host host.Host) {
		t.Helper()
		owner, err := process.Find(host.Root, os.Getppid())
		must(t, err)
		book, err := ledger.Open(t.Context(), host.Root)
		must(t, err)
		defer book.Close()
		must(t, book.Begin(ledger.Claim{UUID: uuid, Name: "web1", Owner: owner, Takes: []pool.Take{{Size: 2 << 20, Pages: pages}}}))
	}
}

func file(path, text string) func(*testing.T, host.Host) {
	return func(t *testing.T, host host.Host) { t.Helper(); write(t, host, path, text) }
}

// TestLockedByAnother lets another process hold the ledger's lock for longer
// than the hook waits.
func TestLockedByAnother(t *testing.T) {
	host := fixture(t)
	write(t, host, "run/vmhuge/lock", "4242\n")
	lock, err := os.Open(host.Root.Path("run/vmhuge/lock"))
	must(t, err)
	defer lock.Close()
	must(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	prepare := func(pages int) error {
		c := newCall(host, []string{"", "web1", "prepare", "begin", "-"}, strings.NewReader(domain(pages)))
		c.wait = 1
		return c.prepare()
	}
	no := (*refusal)(nil)
	if err := prepare(40); err == nil || errors.As(err, &no) {
		t.Errorf("pages are there: %v", err)
	}
	if err := prepare(41); !errors.As(err, &no) || !strings.Contains(err.Error(), "process 4242 holds") || !strings.HasSuffix(err.Error(), "; wait for it to end, or end it") {
		t.Errorf("a page is missing: %v", err)
	}
}

func TestMends(t *testing.T) {
	host := fixture(t)
	dir := host.Root.Path("dev/hugepages/libvirt/qemu")
	must(t, os.Mkdir(dir+"/7-web1", 0o700)) // left by an earlier start with this id
	must(t, os.Mkdir(dir+"/6-web1", 0o700))
	must(t, os.Chmod(dir, 0o700))
	if got := runHook(host, domain(40), "web1", "prepare", "begin"); got != (answer{}) {
		t.Errorf("%+v", got)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o701 {
		t.Errorf("the folder: %v, %v", info, err)
	}
	if _, err := os.Stat(dir + "/7-web1"); !os.IsNotExist(err) {
		t.Errorf("the stale folder: %v", err)
	}
	if _, err := os.Stat(dir + "/6-web1"); err != nil {
		t.Errorf("the folder of another id: %v", err)
	}
	if e := lastEvent(t, host); e.Result != hook.Held || len(e.Changed) != 2 || e.Why != "" {
		t.Errorf("logged %+v", e)
	}
	changes, err := journal.Journal{Host: host}.Changes()
	if err != nil || len(changes) != 2 {
		t.Errorf("on record: %v, %v", changes, err)
	}
}

// TestBug lets the hook run into a bug of its own.
func TestBug(t *testing.T) {
	host := fixture(t)
	for _, op := range []string{"prepare", "release"} {
		begin(uuid, 1)(t, host)
		var stdout, stderr strings.Builder
		args := []string{"hooks/qemu", "web1", op, map[string]string{"prepare": "begin", "release": "end"}[op], "-"}
		if code := run(host, args, nil, &stdout, &stderr); code != 0 || stdout.Len()+stderr.Len() > 0 {
			t.Errorf("%s: exit code %d, %s%s", op, code, &stdout, &stderr)
		}
		if e := lastEvent(t, host); e.Result != hook.Failed || !strings.Contains(e.Why, "a bug of vmhuge-hook") {
			t.Errorf("%s: logged %+v", op, e)
		}
	}
}

// A bug in what goes on beside the call is no reason either.
func TestBugInAChange(t *testing.T) {
	c := newCall(fixture(t), []string{"", "web1", "prepare", "begin", "-"}, nil)
	c.change([]change.Change{{Path: "/x"}}, func([]change.Change) error { panic("no such thing") })
	if len(c.event.Changed) > 0 || c.event.Why != "a bug of vmhuge-hook: no such thing" {
		t.Errorf("%+v", c.event)
	}
}

// TestNobodyListens closes stderr, and has no log to write.
func TestNobodyListens(t *testing.T) {
	host := fixture(t)
	must(t, os.MkdirAll(host.Root.Path("run/vmhuge/hook.log"), 0o755))
	closed, err := os.Create(t.TempDir() + "/stderr")
	must(t, err)
	closed.Close()
	args := []string{"hooks/qemu", "web1", "prepare", "begin", "-"}
	if code := run(host, args, strings.NewReader(domain(41)), closed, closed); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if code := run(host, args, strings.NewReader(domain(40)), closed, closed); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
