package ledger

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/hostfs"
	"vmhuge/internal/pages"
)

func TestMain(m *testing.M) {
	hosttest.HoldMap()
	if root := os.Getenv(openVar); root != "" {
		l, err := Open(context.Background(), hostfs.Root(root))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		l.Close()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// openVar has a process of the tests open the ledger of this host, and end.
const openVar = "VMHUGE_POOL_OPEN"

const nobody = 65534

// TestClaimsOfHeld keeps what is claimed for guests that may be a process which can't
// be read, and only while it is there.
func TestClaimsOfHeld(t *testing.T) {
	hosttest.NeedRoot(t)
	pid, _ := hosttest.HeldProcess(t, 0, "-uuid", web1)
	root := fixture(t, oneNode, us(), stat(pid, 88))
	must(t, os.Symlink("/usr/bin/qemu-system-x86_64", root.Path("proc", strconv.Itoa(pid), "exe")))
	must(t, os.Symlink("/proc/"+strconv.Itoa(pid)+"/cmdline", root.Path("proc", strconv.Itoa(pid), "cmdline")))
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: process.Process{PID: 600, Start: 5}, Takes: takes(30)}))
	must(t, l.Grow(t.Context(), web1, []pool.Need{{Size: pages.Size2MiB, Pages: 20}}, pool.Effort{}))
	must(t, l.Started(web1))
	l.Close()
	began := time.Now()
	if l = open(t, root); len(l.claims) != 1 || l.claims[0].Phase != Starting || nr(t, root, 0, 2048) != 120 || time.Since(began) > 2*time.Second {
		t.Errorf("%+v, %d pages, %s", l.claims, nr(t, root, 0, 2048), time.Since(began))
	}
	must(t, l.Audit())
	if diff := cmp.Diff([]int{pid}, l.Unread()); diff != "" {
		t.Error(diff)
	}
	l.Close()

	// libvirt has noted which guest it is.
	hosttest.WriteFile(t, root.Path("run/libvirt/qemu/web1.pid"), strconv.Itoa(pid))
	hosttest.WriteFile(t, root.Path("run/libvirt/qemu/web1.xml"), fmt.Sprintf("<domstatus state='running' pid='%d'>\n<domain type='qemu' id='1'>\n<uuid>%s</uuid>", pid, web1))
	if claims, err := ReadClaims(root); err != nil || len(claims) != 1 || claims[0].PID != pid {
		t.Errorf("%+v, %v", claims, err)
	}
	must(t, os.RemoveAll(root.Path("run/libvirt")))
	must(t, os.RemoveAll(root.Path("proc", strconv.Itoa(pid))))
	if l = open(t, root); len(l.claims) != 0 || nr(t, root, 0, 2048) != 100 {
		t.Errorf("it is gone: %+v, %d pages", l.claims, nr(t, root, 0, 2048))
	}
}

// TestWaitersBesideHeld has a dozen programs open the ledger at once beside a process that
// keeps its memory map locked and may be a guest's. Each must look at it, but those that wait
// for the lock do so meanwhile.
func TestWaitersBesideHeld(t *testing.T) {
	hosttest.NeedRoot(t)
	pid, _ := hosttest.HeldProcess(t, 0, "-uuid", db1)
	root := fixture(t, oneNode, us())
	for i := range 60 {
		proc := root.Path("proc", strconv.Itoa(500000+i))
		must(t, os.Mkdir(proc, 0o755))
		must(t, os.Symlink("/usr/bin/qemu-system-x86_64", proc+"/exe"))
		must(t, os.Symlink(fmt.Sprintf("/proc/%d/cmdline", pid), proc+"/cmdline"))
	}
	l := open(t, root)
	must(t, l.Begin(Claim{UUID: web1, Name: "web1", Owner: owner(), Takes: takes(30)}))
	l.Close()
	began := time.Now()
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), openVar+"="+string(root))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("it takes %s", took)
	} else {
		t.Logf("it takes %s", took)
	}
}
