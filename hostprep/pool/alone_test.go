package pool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

var started = time.Now()

// TestMain is the process that runs errands, too: in place of the kernel it works, or waits for
// what does not come, for as long as a test wants.
func TestMain(m *testing.M) {
	if len(os.Args) != 3 || errands[os.Args[1]] == nil {
		os.Exit(m.Run())
	}
	if os.Args[1] == writeCommand {
		n, err := goneAhead()
		if err == nil {
			inKernel()
			err = hostfs.Root("/").WriteOver(n, os.Args[2])
		}
		errno := syscall.Errno(0)
		errors.As(err, &errno)
		os.Exit(int(errno))
	}
	inKernel()
}

// inKernel is what the kernel does before it comes to what it is asked for.
func inKernel() {
	works, _ := time.ParseDuration(os.Getenv("ERRAND_WORKS"))
	for began := time.Now(); time.Since(began) < works; {
	}
	waits, _ := time.ParseDuration(os.Getenv("ERRAND_WAITS"))
	time.Sleep(waits)
}

// Nobody waits for memory that is made where that itself waits for a file system which does not
// answer, but where it works.
func TestErrandIsLeft(t *testing.T) {
	if _, done := RunErrand([]string{"vmhuge", "status"}); done || alone != "/" {
		t.Fatal("a command of its own is taken for an errand")
	}
	t.Cleanup(func() { alone = "" })
	for name, c := range map[string]struct {
		works, waits, cancel time.Duration
		least, most          time.Duration // that it takes
	}{
		"it works":    {works: idle + time.Second, least: idle + time.Second, most: 20 * time.Second},
		"it waits":    {waits: 30 * time.Second, least: idle, most: 20 * time.Second},
		"interrupted": {waits: 30 * time.Second, cancel: 100 * time.Millisecond, most: 20 * time.Second},
		"at once":     {most: 20 * time.Second},
	} {
		for errand, run := range map[string]func(context.Context){
			"compact":     func(ctx context.Context) { compact(ctx, "/", 0) },
			"drop caches": func(ctx context.Context) { dropCaches(ctx, "/") },
		} {
			t.Run(errand+", "+name, func(t *testing.T) {
				t.Setenv("ERRAND_WORKS", c.works.String())
				t.Setenv("ERRAND_WAITS", c.waits.String())
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.cancel > 0 {
					time.AfterFunc(c.cancel, cancel)
				}
				began := time.Now()
				run(ctx)
				if took := time.Since(began); took < c.least || took > c.most {
					t.Errorf("it takes %s", took)
				}
			})
		}
	}
}

// cannotEnd has no errand end when it is left, as in the kernel.
func cannotEnd(t *testing.T) {
	t.Helper()
	was := end
	end = func(p *os.Process) error {
		t.Cleanup(func() { _ = p.Kill() })
		return nil
	}
	t.Cleanup(func() { end = was })
}

// gigantics is a host on which a process of its own writes the pools of pages of 1 GiB.
func gigantics(t *testing.T) hostfs.Root {
	t.Helper()
	root := fixture(t, oneNode+"-- pools --\n0 1048576 2 2 0\nall 1048576 2 2 0 0 0\n")
	must(t, os.RemoveAll(root.Path("proc")))
	must(t, os.Symlink("/proc", root.Path("proc")))
	alone = root
	t.Cleanup(func() { alone = "" })
	return root
}

func countOf(t *testing.T, root hostfs.Root, size pages.Size) int64 {
	t.Helper()
	p, err := ReadPool(root, 0, size)
	must(t, err)
	return p.Persistent()
}

// A process of its own writes the pools of pages of 1 GiB, and no other does.
func TestWriteAlone(t *testing.T) {
	root := gigantics(t)
	t.Setenv("ERRAND_WORKS", "0.1s")
	p, err := SetPersistent(root, 0, pages.Size1GiB, 2, 5)
	if must(t, err); p.Persistent() != 5 || StillWriting(root, pages.Size1GiB) != nil {
		t.Errorf("%+v", p)
	}
	if _, err := os.Stat(root.Path(writingFile(pages.Size1GiB)...)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the record of the write is still there: %v", err)
	}
	t.Setenv("ERRAND_WAITS", "1h") // nobody is asked to do it
	was := countOf(t, root, pages.Size2MiB)
	if p, err = SetPersistent(root, 0, pages.Size2MiB, was, was+1); err != nil || p.Persistent() != was+1 {
		t.Errorf("pages of 2 MiB: %v, %+v", err, p)
	}
	t.Setenv("ERRAND_WAITS", "0s")
	must(t, os.Remove(root.Path(poolFile(root, 0, pages.Size1GiB, nrFile)...)))
	if err := writeNumber(root, 0, pages.Size1GiB, nrFile, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// A write that does not come back is left, is on record and keeps others of the size from being
// tried, at once; what it adds late belongs to whom it was for.
func TestWriteIsLeft(t *testing.T) {
	root := gigantics(t)
	cannotEnd(t)
	t.Setenv("ERRAND_WAITS", "1h")
	began := time.Now()
	r, err := grown(t, t.Context(), root, []Need{{Size: pages.Size1GiB, Pages: 2}, {Size: pages.Size2MiB, Pages: 3}}, Effort{}, 0)
	if took := time.Since(began); took < patience || took > 20*time.Second {
		t.Errorf("it takes %s", took)
	}
	short := (*Short)(nil)
	if !errors.As(err, &short) || short.Stuck == nil || short.Size != pages.Size1GiB || short.Stuck.File != root.Path(poolFile(root, 0, pages.Size1GiB, nrFile)...) {
		t.Fatalf("%v", err)
	}
	two := int64(2)
	late := []Grant{{Node: 0, Size: pages.Size1GiB, Pages: 1, Without: &two}}
	if diff := cmp.Diff(late, r.last); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
}

// While the kernel is in a write, all that would wait for it is refused at once, and kept.
func TestBesideAStuckWrite(t *testing.T) {
	root := gigantics(t)
	w := writing{os.Getpid(), startOf("/", os.Getpid()), "/sys/it", true}
	must(t, w.record(root, pages.Size1GiB))
	want := &Stuck{Size: pages.Size1GiB, File: "/sys/it", PID: os.Getpid(), For: time.Since(started).Truncate(time.Second)}
	if diff := cmp.Diff(want, StillWriting(root, pages.Size1GiB), cmp.Transformer("about", func(d time.Duration) time.Duration { return d / time.Minute })); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	began, stuck := time.Now(), (*Stuck)(nil)
	if _, err := SetPersistent(root, 0, pages.Size1GiB, 2, 1); !errors.As(err, &stuck) {
		t.Errorf("it is written: %v", err)
	}
	if err := Demote(root, 0, pages.Size1GiB, 1); !errors.As(err, &stuck) {
		t.Errorf("pages are split: %v", err)
	}
	grants := []Grant{{Node: 0, Size: pages.Size1GiB, Pages: 1}, {Node: 0, Size: pages.Size2MiB, Pages: 1}}
	kept, _, err := Release(root, grants, nil, func([]Grant) error { return nil })
	if diff := cmp.Diff(grants[:1], kept); err != nil || diff != "" {
		t.Errorf("%v, kept (-want +got):\n%s", err, diff)
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it takes %s", took)
	}
	w.Start = "1" // it has ended, and another process has its number
	must(t, w.record(root, pages.Size1GiB))
	if StillWriting(root, pages.Size1GiB) != nil {
		t.Error("a write of the past still keeps others waiting")
	}
	// Who has begun beside it goes by what was so then.
	two := int64(2)
	grants = []Grant{{Node: 0, Size: pages.Size1GiB, Pages: 1, Without: &two}}
	kept, _, err = Release(root, grants, nil, func([]Grant) error { return nil })
	if diff := cmp.Diff(grants, kept); err != nil || diff != "" {
		t.Errorf("%v, kept (-want +got):\n%s", err, diff)
	}
}

// A pool that is to shrink, and whose write does not come back, is on record with what may yet go.
func TestReleaseIsLeft(t *testing.T) {
	root := gigantics(t)
	cannotEnd(t)
	t.Setenv("ERRAND_WAITS", "1h")
	kept, _, err := Release(root, []Grant{{Node: 0, Size: pages.Size1GiB, Pages: 2}}, nil, func([]Grant) error { return nil })
	if must(t, err); StillWriting(root, pages.Size1GiB) == nil {
		t.Fatal("no write is left")
	}
	none := int64(0)
	if diff := cmp.Diff([]Grant{{Node: 0, Size: pages.Size1GiB, Pages: 2, Without: &none}}, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

// A write whose vmhuge was killed is waited for as long as it works. Who only looks takes it for
// one of a vmhuge that runs.
func TestOrphanedWrite(t *testing.T) {
	for name, c := range map[string]struct {
		works, waits time.Duration
		stuck        bool
	}{
		"it works": {works: patience + time.Second},
		"it waits": {waits: time.Hour, stuck: true},
	} {
		root := gigantics(t)
		t.Setenv("ERRAND_WORKS", c.works.String())
		t.Setenv("ERRAND_WAITS", c.waits.String())
		cmd := errand(compactCommand, "0")
		must(t, cmd.Start())
		go func() { _ = cmd.Wait() }()
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		w := writing{cmd.Process.Pid, startOf("/", cmd.Process.Pid), "/sys/it", false}
		must(t, w.record(root, pages.Size1GiB))
		if StillWriting(root, pages.Size1GiB) != nil {
			t.Errorf("%s: it is taken for one that was left", name)
		}
		began := time.Now()
		stuck := AwaitWrite(root, pages.Size1GiB)
		if took := time.Since(began); (stuck != nil) != c.stuck || took < patience {
			t.Errorf("%s: %v after %s", name, stuck, took)
		}
		_, err := os.Stat(root.Path(writingFile(pages.Size1GiB)...))
		if again := StillWriting(root, pages.Size1GiB); (again != nil) != c.stuck || (err == nil) != c.stuck {
			t.Errorf("%s: then %v, %v", name, again, err)
		}
	}
}

// Without the word to go ahead nothing is written, and no other file than a pool's is.
func TestWriteErrand(t *testing.T) {
	for _, file := range []string{"/etc/passwd", "/sys/../etc/nr_hugepages", "/sys/kernel/mm/x", "nr_hugepages"} {
		if err := writeErrand(file); !errors.Is(err, errNotAPool) {
			t.Errorf("%s: %v", file, err)
		}
	}
	for text, want := range map[string]string{"": "7", "5": "7", "5\n": "5"} {
		file := t.TempDir() + "/" + nrFile
		must(t, os.WriteFile(file, []byte("7"), 0o600))
		cmd := errand(writeCommand, file)
		theirs, ours, err := socketPair()
		must(t, err)
		cmd.Stdin = theirs
		must(t, cmd.Start())
		must(t, theirs.Close())
		_, err = ours.Read(make([]byte, 1))
		must(t, err)
		_, err = ours.Write([]byte(text))
		must(t, err)
		must(t, ours.Close())
		_ = cmd.Wait()
		if got, _ := os.ReadFile(file); string(got) != want {
			t.Errorf("after %s: %s", strconv.Quote(text), got)
		}
	}
}

// A host that stands still between two looks, as a virtual machine that is paused, is not a kernel
// that waits; nor is a process that waits for a processor.
func TestIdle(t *testing.T) {
	const look = patience / 8
	stat := func(state string, spent int) string {
		return fmt.Sprintf("-- proc/42/stat --\n42 (x) %s 1 1 1 0 -1 4194560 1 1 1 1 %d 0 1 1 20 0 1 0 88 1 1\n", state, spent)
	}
	now, p := time.Now(), progress{}
	for i, step := range []struct {
		after time.Duration
		stat  string
		want  time.Duration
	}{
		{0, stat("D", 7), 0},
		{look, stat("D", 7), look},
		{time.Minute, stat("D", 7), 2 * look},
		{look / 2, stat("D", 7), 2*look + look/2},
		{look, stat("R", 7), 0},
		{look, stat("D", 7), look},
		{look, stat("D", 8), 0},
	} {
		now = now.Add(step.after)
		if got := p.idle(fixture(t, oneNode, step.stat), 42, now); got != step.want {
			t.Errorf("look %d: idle for %s, not %s", i, got, step.want)
		}
	}
}
