package integration

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// demote splits a page of 1 GiB of the administrator's, starts a guest on its pieces, and puts
// it together again: at once, and with the end of a guest that has some of them.
func demote(t *testing.T) {
	hostAsBefore(t)
	var large int
	if err := readNumber(nodePoolDir(0, size1G)+"/nr_hugepages", &large); err != nil {
		t.Fatal(err)
	}
	small := pool2M(t)
	has := func(when string, split int) {
		t.Helper()
		var now int
		err := readNumber(nodePoolDir(0, size1G)+"/nr_hugepages", &now)
		if err != nil || now != large-split || pool2M(t) != small+512*split {
			t.Errorf("%s: %d pages of 1 GiB and %d of 2 MiB, %v; want %d and %d", when, now, pool2M(t), err, large-split, small+512*split)
		}
	}
	r := vmhuge(t, "prepare", "--demote", "100")
	if r.Code != 4 || !strings.Contains(r.Stdout, "can be split") {
		t.Errorf("%+v", r)
	}
	r = done(t, "prepare", "--demote", "1", "--dry-run")
	if !strings.Contains(r.Stdout, "hugepages-1048576kB/demote") {
		t.Error(r.Stdout)
	}
	has("after the dry run", 0)
	done(t, "prepare", "--demote", "1")
	has("after prepare", 1)
	if r := done(t, "undo", "--dry-run"); !strings.Contains(r.Stdout, "1 page of 1 GiB on node 0 in one piece again") {
		t.Error(r.Stdout)
	}
	done(t, "undo")
	has("after undo", 0)

	done(t, "prepare", "--demote", "1", "--node", "0")
	dom := define(t, guest{backing: pages2M})
	name := nameOf(t, dom)
	done(t, "start", "--host-reserve", "1T", "--paused", name) // no page is added
	has("with a guest", 1)
	if r := done(t, "undo"); !strings.Contains(r.Stdout, "will be freed when their guests stop") {
		t.Error(r.Stdout)
	}
	done(t, "stop", "--force", "--timeout", "0s", name)
	done(t, "status") // settles what was owed
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && pool2M(t) != small; time.Sleep(100 * time.Millisecond) {
		done(t, "status")
	}
	has("after the guest", 0)
	wantClaims(t)

	// Pages that vmhuge has prepared itself are no one's to miss.
	done(t, "prepare", "--pages", strconv.Itoa(large+1), "--size", "1G")
	done(t, "prepare", "--demote", "1")
	if pool2M(t) != small+512 {
		t.Errorf("%d pages of 2 MiB of a page that vmhuge had prepared", pool2M(t)-small)
	}
	done(t, "undo")
	has("at the end", 0)
	wantClaims(t)
}
