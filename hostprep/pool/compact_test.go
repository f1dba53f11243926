package pool

import (
	"context"
	"os"
	"testing"
	"time"
)

// TestMain is the process that compacts, too: in place of the kernel it works, or waits for
// what does not come, for as long as a test wants.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == compactCommand {
		works, _ := time.ParseDuration(os.Getenv("COMPACTION_WORKS"))
		for began := time.Now(); time.Since(began) < works; {
		}
		waits, _ := time.ParseDuration(os.Getenv("COMPACTION_WAITS"))
		time.Sleep(waits)
		return
	}
	os.Exit(m.Run())
}

// Nobody waits for a compaction that itself waits for a file system which does not answer, but
// for one that works.
func TestCompactAlone(t *testing.T) {
	if CompactAlone([]string{"vmhuge", "status"}) {
		t.Fatal("a command of its own is taken for a compaction")
	}
	t.Cleanup(func() { alone = false })
	for name, c := range map[string]struct {
		works, waits, cancel time.Duration
		least, most          time.Duration // that it takes
	}{
		"it works":    {works: idle + time.Second, least: idle + time.Second, most: 20 * time.Second},
		"it waits":    {waits: 30 * time.Second, least: idle, most: 20 * time.Second},
		"interrupted": {waits: 30 * time.Second, cancel: 100 * time.Millisecond, most: 20 * time.Second},
		"at once":     {most: 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("COMPACTION_WORKS", c.works.String())
			t.Setenv("COMPACTION_WAITS", c.waits.String())
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.cancel > 0 {
				time.AfterFunc(c.cancel, cancel)
			}
			began := time.Now()
			compact(ctx, "/", 0)
			if took := time.Since(began); took < c.least || took > c.most {
				t.Errorf("it takes %s", took)
			}
		})
	}
}
