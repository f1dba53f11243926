package launcher

import (
	"context"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/advice"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
	vmxml "vmhuge/xml"
)

// open connects to libvirt's own test driver, on a host without files: all of
// libvirt but for a daemon and guests, in this process. Each connection has domains
// of its own; it begins with one, test, which runs as 1.
func open(t *testing.T) *Launcher {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	node := filepath.Join(t.TempDir(), "node.xml")
	must(t, os.WriteFile(node, []byte("<node>"+document("test", "7e577e57-f6a4-8304-79aa-97f2502e193f", "")+"</node>"), 0o600))
	l, err := Open("test://"+node, host.Host{Root: hostfs.Root(t.TempDir())})
	must(t, err)
	t.Cleanup(l.Close)
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// document is the XML of a domain, with more in it.
func document(name, uuid, more string) string {
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(name))
	return "<domain type='test'>\n <name>" + escaped.String() + "</name>\n <uuid>" + uuid + "</uuid>\n <memory unit='MiB'>64</memory>\n" +
		" <os><type>hvm</type></os>\n" + more + "</domain>\n"
}

const uuid1, uuid2 = "a1a1a1a1-f6a4-8304-79aa-97f2502e193f", "d1d1d1d1-f6a4-8304-79aa-97f2502e193f"

func define(t *testing.T, l *Launcher, name, uuid, more string) *domain {
	t.Helper()
	must(t, l.defineXML([]byte(document(name, uuid, more)), 0))
	return found(t, l, uuid)
}

func found(t *testing.T, l *Launcher, name string) *domain {
	t.Helper()
	d, err := l.find(name)
	must(t, err)
	t.Cleanup(func() { _ = d.Free() })
	return d
}

// refusedWith checks what a user is told.
func refusedWith(t *testing.T, err error, what, why string) {
	t.Helper()
	told := (*advice.Error)(nil)
	if !errors.As(err, &told) || !strings.Contains(told.What, what) || !strings.Contains(told.Why, why) {
		t.Errorf("got %v; want %s: %s", err, what, why)
	}
}

func TestFind(t *testing.T) {
	for _, name := range []string{
		"web1", "web 1", " web1", "-c", "--help", "../../etc/passwd\\", "naïve ☃", `a'b"c<&>`, "$(reboot)", "*", "%s%n", ".", strings.Repeat("x", 200),
	} {
		if strings.Contains(name, "/") {
			l := open(t)
			if err := l.defineXML([]byte(document(name, uuid1, "")), 0); err == nil {
				t.Errorf("libvirt has taken the name %q", name)
			}
			continue
		}
		l := open(t)
		define(t, l, name, uuid1, "")
		for _, surveyed := range []bool{false, true} {
			if surveyed {
				must(t, l.Survey(nil))
			}
			for _, by := range []string{name, uuid1} {
				if d := found(t, l, by); d.name != name || d.uuid != uuid1 || d.state != ShutOff || !d.persistent {
					t.Errorf("%q finds %+v", by, d)
				}
			}
		}
	}
}

// What could be an id or a UUID is one, as for virsh.
func TestFindInOrder(t *testing.T) {
	l := open(t)
	define(t, l, "1", uuid1, "")
	define(t, l, uuid1, uuid2, "")
	define(t, l, "99", "99999999-f6a4-8304-79aa-97f2502e193f", "")
	for _, surveyed := range []bool{false, true} {
		if surveyed {
			must(t, l.Survey(nil))
		}
		for by, want := range map[string]string{"1": "test", uuid1: "1", uuid2: uuid1, "99": "99", "test": "test"} {
			if d := found(t, l, by); d.name != want {
				t.Errorf("%q finds %q, not %q", by, d.name, want)
			}
		}
	}
	for _, name := range []string{"", "none", "2", "4294967297", "-1", "00000000-0000-0000-0000-000000000000"} {
		_, err := l.find(name)
		refusedWith(t, err, "domain "+strconv.Quote(name), "")
		if !isGone(err) {
			t.Errorf("%q: %v is not that there is no such domain", name, err)
		}
	}
}

func TestNamesOfDomains(t *testing.T) {
	l := open(t)
	define(t, l, "web1", uuid1, "")
	if names, err := l.Names(); !slices.Equal(names, []string{"test", "web1"}) || err != nil {
		t.Errorf("%v, %v", names, err)
	}
	for which, want := range map[Which][]string{Active: {"test"}, Inactive: nil, All: {"test"}} {
		if names := ReadNames("test:///default", host.Host{Root: "/"}, which); !slices.Equal(names, want) {
			t.Errorf("%d: %v, want %v", which, names, want)
		}
	}
	for _, uri := range []string{"test://elsewhere/default", "nonsense:///", "%"} {
		if names := ReadNames(uri, host.Host{Root: "/"}, All); names != nil {
			t.Errorf("%s: %v", uri, names)
		}
	}
	_, err := l.Only()
	refusedWith(t, err, "the domain that is enabled", "no domain is enabled")
	_, err = l.Enable("web1", Want{})
	must(t, err)
	if name, err := l.Only(); name != "web1" || err != nil {
		t.Errorf("the one that is enabled is %q, %v", name, err)
	}
	_, err = l.Enable("test", Want{})
	must(t, err)
	_, err = l.Only()
	refusedWith(t, err, "the domain that is enabled", "test, web1")
	d := found(t, l, "web1")
	must(t, d.SetAutostart(true))
	if names, err := l.Autostart(); !slices.Equal(names, []string{"web1"}) || err != nil {
		t.Errorf("with the host start %v, %v", names, err)
	}
}

const (
	vnc    = " <devices><graphics type='vnc' port='5900' passwd='se&amp;cret'/></devices>\n"
	note   = " <metadata><a:b xmlns:a='urn:a'> <!-- theirs --> </a:b></metadata>\n"
	shared = " <memoryBacking>\n  <nosharepages/>\n  <access mode='shared'/>\n </memoryBacking>\n"
)

func TestEnableAndDisable(t *testing.T) {
	for name, more := range map[string]string{"plain": "", "a password": vnc, "a backing": shared, "metadata": note, "all": note + shared + vnc} {
		for _, want := range []Want{{}, {Want: vmxml.Want{Auto: true, AutoThreads: true}}} {
			l := open(t)
			d := define(t, l, "web1", uuid1, more)
			before := slices.Clone(d.xml)
			copies, err := newCopies(l.host.Root)
			must(t, err)

			want.DryRun = true
			e, err := l.Enable("web1", want)
			if err != nil || e.Done || e.Diff == "" || string(found(t, l, "web1").xml) != string(before) || copies.has(uuid1) {
				t.Errorf("%s: a dry run is %+v, %v", name, e, err)
			}
			want.DryRun = false
			e, err = l.Enable("web1", want)
			if err != nil || !e.Done || e.Backing != pages.Hugetlb || e.Copy != copies.path(uuid1) || strings.Contains(e.Diff, "cret") {
				t.Fatalf("%s: enabling is %+v, %v", name, e, err)
			}
			kept, err := os.ReadFile(e.Copy)
			st, statErr := os.Stat(e.Copy)
			if err != nil || statErr != nil || string(kept) != string(before) || st.Mode() != 0o600 {
				t.Errorf("%s: the copy is %s, %v, %v", name, kept, err, st.Mode())
			}
			if e, err := l.Enable("web1", want); err != nil || e.Done || e.Diff != "" {
				t.Errorf("%s: enabled once more it is %+v, %v", name, e, err)
			}
			if e, err := l.Enable("web1", Want{Want: vmxml.Want{Backing: want.Backing}}); err != nil || !copies.has(uuid1) {
				t.Errorf("%s: enabled in another way it is %+v, %v", name, e, err)
			}
			if e, err = l.Disable("web1", true); err != nil || e.Done || e.Diff == "" || !copies.has(uuid1) {
				t.Errorf("%s: a dry run is %+v, %v", name, e, err)
			}
			if e, err = l.Disable("web1", false); err != nil || !e.Done || e.Backing != pages.None {
				t.Errorf("%s: disabling is %+v, %v", name, e, err)
			}
			if after := found(t, l, "web1").xml; string(after) != string(before) {
				t.Errorf("%s: it became\n%s\nfrom\n%s", name, after, before)
			}
			if _, err := os.Stat(copies.root.Path()); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: copies were left: %v", name, err)
			}
			if e, err = l.Disable("web1", false); err != nil || e.Done {
				t.Errorf("%s: disabled once more it is %+v, %v", name, e, err)
			}
		}
	}
}

func TestEnableRefuses(t *testing.T) {
	l := open(t)
	transient, err := l.conn.DomainCreateXML(document("gone", uuid2, ""), 0)
	must(t, err)
	defer transient.Free()
	_, err = l.Enable("gone", Want{})
	refusedWith(t, err, "enabling gone", "transient")
	_, err = l.Enable("none", Want{})
	refusedWith(t, err, `domain "none"`, "")
	for what, err := range map[string]error{
		"checking":       second(l.Check("test")),
		"starting":       second(l.Start(context.Background(), "test", StartOptions{})),
		"verifying":      second(l.Verify("test")),
		"preparing":      third(l.Guest("test", 0)),
		"looking":        second(l.Candidate("test")),
		"reading the st": second(l.Status(nil)),
	} {
		refusedWith(t, err, what, " is not a QEMU host")
	}
}

// A QEMU that is not to be seen has just ended, where root looks.
func TestNoQEMU(t *testing.T) {
	l := open(t)
	do := "run vmhuge as root"
	if os.Geteuid() == 0 {
		do = "run it again, for QEMU may just have ended"
	}
	_, _, _, err := l.memory("verifying test", found(t, l, "test"), nil)
	if refusedWith(t, err, "verifying test", "no QEMU process"); !strings.Contains(err.Error(), do) {
		t.Errorf("it says %v", err)
	}
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

// What libvirt would lose of a definition, or refuse, leaves the former one.
func TestDefineWhole(t *testing.T) {
	l := open(t)
	d := define(t, l, "web1", uuid1, vnc)
	whole := string(d.xml)
	for name, test := range map[string]struct{ doc, why string }{
		"an element that it does not know": {strings.Replace(whole, "<devices>", "<novelty/><devices>", 1), "did not keep all"},
		"no memory":                        {strings.Replace(whole, "<devices>", "<memoryBacking><source type='tape'/></memoryBacking><devices>", 1), "tape"},
		"another's name":                   {strings.Replace(whole, "<name>web1", "<name>test", 1), "already defined"},
		"no XML":                           {"<domain", ""},
	} {
		var e Edit
		err := l.defineWhole(d, []byte(test.doc), &e)
		refusedWith(t, err, "defining it", test.why)
		if err != nil && strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: the password is told: %v", name, err)
		}
		if now := found(t, l, "web1"); string(now.xml) != whole {
			t.Errorf("%s: it became\n%s", name, now.xml)
		}
	}
}

// One that runs is changed for its next start.
func TestEnableWhileItRuns(t *testing.T) {
	l := open(t)
	live := func() string {
		text, err := found(t, l, "test").GetXMLDesc(0)
		must(t, err)
		return text
	}
	before := live()
	e, err := l.Enable("test", Want{})
	if err != nil || !e.Done || e.State != Running || len(e.Warnings) != 1 || !strings.Contains(e.Warnings[0], "next cold start") {
		t.Errorf("%+v, %v", e, err)
	}
	if live() != before {
		t.Errorf("what runs was changed to\n%s", live())
	}
}

func TestCopies(t *testing.T) {
	c := copies{hostfs.Root(filepath.Join(t.TempDir(), "vmhuge", "domains"))}
	for _, step := range []struct {
		doc, want string
		overwrite bool
	}{{"first", "first", false}, {"second", "first", false}, {"third", "third", true}} {
		path, err := c.keep(uuid1, []byte(step.doc), step.overwrite)
		must(t, err)
		if text, err := os.ReadFile(path); err != nil || string(text) != step.want {
			t.Errorf("it is %s, %v; want %s", text, err, step.want)
		}
	}
	_, err := c.keep(uuid2, nil, false)
	must(t, err)
	must(t, c.drop(uuid1))
	if c.has(uuid1) || !c.has(uuid2) {
		t.Error("another copy was dropped")
	}
	must(t, os.WriteFile(c.root.Path(".tmp-1"), []byte("left by a kill"), 0o600))
	must(t, c.drop(uuid1))
	must(t, c.drop(uuid2))
	if _, err := os.Stat(filepath.Dir(c.root.Path())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folders were left: %v", err)
	}
}

func TestCreateAndStop(t *testing.T) {
	l := open(t)
	define(t, l, "web1", uuid1, "")
	is := func(want State) *domain {
		t.Helper()
		d := found(t, l, "web1")
		if d.state != want || d.state.active() != (want != ShutOff) {
			t.Errorf("it is %s, not %s", d.state, want)
		}
		return d
	}
	ctx := context.Background()
	must(t, l.create(ctx, is(ShutOff), StartOptions{}))
	refusedWith(t, l.create(ctx, is(Running), StartOptions{}), "starting web1", "running")
	must(t, is(Running).Suspend())
	must(t, is(Paused).Resume())
	is(Running)
	s, err := l.Stop(ctx, "web1", StopOptions{Timeout: time.Minute})
	if want := (Stopped{Name: "web1", UUID: uuid1, State: ShutOff, Done: true}); err != nil || s != want {
		t.Errorf("stopped: %+v, %v", s, err)
	}
	if s, err := l.Stop(ctx, "web1", StopOptions{}); err != nil || s.Done || s.State != ShutOff {
		t.Errorf("stopped once more: %+v, %v", s, err)
	}
	refusedWith(t, l.create(ctx, is(ShutOff), StartOptions{Paused: true}), "starting web1", "unsupported flags") // of this driver
	d := is(ShutOff)
	interrupted, cancel := context.WithCancel(ctx)
	cancel()
	for range 20 {
		if err := l.create(interrupted, d, StartOptions{}); err != nil {
			refusedWith(t, err, "starting web1", "interrupted")
			is(ShutOff)
		} else { // it was faster
			must(t, d.Destroy())
		}
	}
}

// A guest that ends by itself while it is being stopped is stopped: whether libvirt still
// knows it or not.
func TestStopOfOneThatHasEnded(t *testing.T) {
	l := open(t)
	for _, force := range []bool{false, true} {
		define(t, l, "web1", uuid1, "")
		must(t, found(t, l, "web1").Create())
		transient, err := l.conn.DomainCreateXML(document("gone", uuid2, ""), 0)
		must(t, err)
		must(t, transient.Free())
		for _, name := range []string{"web1", "gone"} {
			d, ends := found(t, l, name), found(t, l, name)
			must(t, ends.Destroy())
			if err := l.shutdown(context.Background(), d, StopOptions{Force: force}); err != nil {
				t.Errorf("%s, force %v: %v", name, force, err)
			}
			if gone, err := l.waitGone(context.Background(), d, time.Minute); err != nil || !gone {
				t.Errorf("waiting for %s: %v, %v", name, gone, err)
			}
		}
	}
}

// A guest that does not end, and a user who does not wait.
func TestWaitGone(t *testing.T) {
	l := open(t)
	d := found(t, l, "test")
	ctx, cancel := context.WithCancel(context.Background())
	if gone, err := l.waitGone(ctx, d, 2*poll); gone || err != nil {
		t.Errorf("gone: %v, %v", gone, err)
	}
	cancel()
	_, err := l.waitGone(ctx, d, time.Hour)
	refusedWith(t, err, "stopping test", "interrupted")
}

func TestOtherHost(t *testing.T) {
	_, err := OpenDest("nonsense:///")
	refusedWith(t, err, "connecting to nonsense:///", "")
	_, err = OpenDest("test:///default")
	refusedWith(t, err, "asking test:///default for its pages", "free pages")
}

func TestVersions(t *testing.T) {
	l := open(t)
	if v := l.versions(); v.libvirt != LibraryVersion() || v.libvirt < 1000000 {
		t.Errorf("libvirt is %d, and its library %d", v.libvirt, LibraryVersion())
	}
	if _, err := Open("nonsense:///", l.host); err == nil || errors.As(err, new(libvirt.Error)) == false {
		t.Errorf("opened: %v", err)
	}
}

// qemu:///system is the daemon of this host, wherever its socket is.
func TestSocketURI(t *testing.T) {
	usual, prefix := host.Host{Root: hosttest.Unpack(t, "one-node", "")}, host.Host{Root: hosttest.Unpack(t, "one-node", hosttest.Prefix)}
	hosttest.Must(t, libvirtd.Locate(prefix))
	const socket = "?socket=%2Fopt%2Flibvirt%2Frun%2Flibvirt%2Fvirtqemud-sock"
	for _, test := range []struct {
		host            host.Host
		uri, kind, want string
	}{
		{usual, "qemu:///system", "", "qemu:///system"},
		{prefix, "qemu:///system", "", "qemu:///system" + socket},
		{prefix, "qemu:///system", "-ro", "qemu:///system" + socket + "-ro"},
		{prefix, "qemu:///session", "", "qemu:///session"},
		{prefix, "qemu:///system?socket=/run/libvirt/libvirt-sock", "", "qemu:///system?socket=/run/libvirt/libvirt-sock"},
		{prefix, "qemu+ssh://other/system", "", "qemu+ssh://other/system"},
	} {
		if got := socketURI(test.uri, test.host, test.kind); got != test.want {
			t.Errorf("%s%s: %s, not %s", test.uri, test.kind, got, test.want)
		}
	}
}
