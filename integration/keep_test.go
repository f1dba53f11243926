package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
)

// TestKeep keeps a guest's pages for it while it does not run, whoever starts and ends it. No
// other guest gets them; enable, disable, undo and the end of the time free them.
func TestKeep(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	empty := pool2M(t)
	installHook(t)
	dom := define(t, guest{backing: "<nosharepages/>"})
	name, before := nameOf(t, dom), definition(t, dom)
	other := define(t, guest{name: domainName(t) + "-other", backing: pages2M})
	inPool := func(when string, want int) {
		t.Helper()
		if n := pool2M(t) - empty; n != want {
			t.Errorf("%s: %d pages in the pool, not %d", when, n, want)
		}
	}
	says := func(want string, args ...string) {
		t.Helper()
		if r := done(t, args...); !strings.Contains(r.Stdout, want) {
			t.Errorf("%v: there is no %q in\n%s", args, want, r.Stdout)
		}
	}
	refused(t, 2, []string{"--keep: \"soon\": write it as always, no, or a time such as 90m"}, "enable", name, "--keep", "soon")
	refused(t, 2, []string{"--thp and --keep cannot be combined"}, "enable", name, "--keep", "1h", "--thp")
	says("keep='always'", "enable", name, "--keep", "always", "--dry-run")
	done(t, "enable", name, "--keep", "always")
	if !strings.Contains(definition(t, dom), `keep="always"`) {
		t.Errorf("its definition does not say so:\n%s", definition(t, dom))
	}

	done(t, "start", "--paused", name)
	inPool("it runs", 32)
	says("64 MiB of huge pages kept for it", "stop", "--force", "--timeout", "0s", name)
	says("already shut off, 64 MiB of huge pages kept for it", "stop", name)
	says("kept: 32 pages of 2 MiB for "+name+" while it does not run", "status", name)
	says("kept: 32 pages of 2 MiB for "+name, "plan", nameOf(t, other))
	inPool("it has ended", 32)
	short := report(t, 4, "start", "--host-reserve", "1T", "--paused", nameOf(t, other))
	if f := short.Findings[0]; short.Verdict != hostprep.NoMemory || !strings.Contains(f.Have, "32 of them reserved for the guest "+name) {
		t.Errorf("%+v", short.Findings)
	}
	startPaused(t, other)
	inPool("another guest runs", 64)
	destroy(t, other)
	inPool("it does no more", 32)

	startPaused(t, dom) // by the hook
	inPool("it runs again", 32)
	if n := pagesOf(t, pidOf(t, dom))[size2M]; n != 32 {
		t.Errorf("it has %d pages", n)
	}
	if err := unix.Kill(pidOf(t, dom), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it has ended", func() bool { active, err := dom.IsActive(); return err == nil && !active })
	done(t, "status")
	inPool("it was killed", 32)

	says("would undo: 64 MiB of huge pages freed", "undo", "--dry-run")
	says("undo: the keeping of 32 pages of 2 MiB for "+name, "undo")
	inPool("undone", 0)
	wantClaims(t)

	startPaused(t, dom)
	destroy(t, dom) // by the hook, too
	inPool("it has ended once more", 32)
	says("would free the 64 MiB of huge pages that are kept for it", "enable", name, "--keep", "no", "--dry-run")
	inPool("a dry run", 32)
	says("freed the 64 MiB of huge pages that were kept for it", "enable", name, "--keep", "no")
	inPool("kept no more", 0)

	startPaused(t, dom)
	done(t, "enable", name, "--keep", "1s") // while it runs
	destroy(t, dom)
	inPool("for a second", 32)
	time.Sleep(2 * time.Second)
	done(t, "status")
	inPool("after it", 0)

	done(t, "enable", name, "--keep", "2h")
	done(t, "start", "--paused", name)
	destroy(t, dom)
	inPool("for two hours", 32)
	if r := done(t, "uninstall", "--dry-run"); strings.Count(r.Stdout, "64 MiB of huge pages") != 1 || strings.Contains(r.Stdout, "the keeping of") {
		t.Errorf("the pages are freed once, not as in\n%s", r.Stdout)
	}
	says("freed the 64 MiB of huge pages that were kept for it", "disable", name)
	inPool("disabled", 0)
	if after := definition(t, dom); after != before {
		t.Errorf("its definition was\n%s\nand is\n%s", before, after)
	}
	wantClaims(t)
}

// TestKeepRefused starts a guest that has grown, and that the host can't start: what was kept
// for it stays, and no page more.
func TestKeepRefused(t *testing.T) {
	hostAsBefore(t)
	setPages(t, 0, size2M, 0)
	empty := pool2M(t)
	dom := define(t, guest{backing: pages2M})
	name := nameOf(t, dom)
	done(t, "enable", name, "--keep", "always")
	done(t, "start", "--paused", name)
	stopNow(t, name)
	doc := strings.ReplaceAll(definition(t, dom), "65536", fmt.Sprint(128<<10))
	if _, err := libvirtd.conn.DomainDefineXML(doc); err != nil {
		t.Fatal(err)
	}
	if r := report(t, 4, "start", "--host-reserve", "1T", "--paused", name); r.Verdict != hostprep.NoMemory {
		t.Errorf("%+v", r)
	}
	if n := pool2M(t) - empty; n != 32 {
		t.Errorf("%d pages are kept", n)
	}
	done(t, "start", "--paused", name)
	stopNow(t, name)
	if n := pool2M(t) - empty; n != 64 {
		t.Errorf("%d pages are kept of a guest that takes more now", n)
	}
	done(t, "disable", name)
	if n := pool2M(t) - empty; n != 0 {
		t.Errorf("%d pages are left", n)
	}
}
