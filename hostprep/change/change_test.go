package change

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestChangeString(t *testing.T) {
	for _, test := range []struct {
		change          Change
		apply, takeBack string
	}{
		{Change{Kind: KindChmod, Path: "/x", From: "0700", To: "0711"}, "chmod 0711 /x (was 0700)", "chmod 0700 /x (was 0711)"},
		{Change{Kind: KindMkdir, Path: "/x", To: "0755 0:0"}, "mkdir -m 0755 /x", "rmdir /x (was 0755 0:0)"},
		{Change{Kind: KindRmdir, Path: "/x", From: "0700 5:6"}, "rmdir /x (was 0700 5:6)", "mkdir -m 0700 /x && chown 5:6 /x"},
		{Change{Kind: KindMount, Path: "/x", To: "pagesize=2M"}, "mount -t hugetlbfs -o pagesize=2M hugetlbfs /x", "umount /x (was pagesize=2M)"},
		{Change{Kind: KindPool, Path: "/x", From: "3", To: "5"}, "echo 5 > /x (was 3)", "echo 3 > /x (was 5)"},
		{Change{Kind: KindSysfs, Path: "/x", From: "never", To: "madvise"}, "echo madvise > /x (was never)", "echo never > /x (was madvise)"},
		{Change{Kind: KindFile, Path: "/x", From: "0644 0:0\nold", To: "0644 0:0\na = 'b' %\n"}, "edit /x: -'old' +'a = 'b' %'", "edit /x: -'a = 'b' %' +'old'"},
		{Change{Kind: KindFile, Path: "/x", To: "0644 0:0\na = 'b' %\n"}, `printf 'a = '\''b'\'' %%\n' > /x`, "rm /x"},
		{Change{Kind: KindChown, Path: "/x", From: "0:0", To: "0:107"}, "chown 0:107 /x (was 0:0)", "chown 0:0 /x (was 0:107)"},
		{NewMember("alice", "kvm"), "gpasswd -a alice kvm", "gpasswd -d alice kvm"},
		{Change{Kind: KindLink, Path: "/x", To: "../y"}, "ln -s ../y /x", "rm /x"},
		{Change{Kind: KindFile, Path: "/x", To: "0644 0:0\n"}, "printf '' > /x", "rm /x"},
		{Change{Kind: KindKernelArgs, Path: "/x", From: "hugepagesz=1G hugepages=1", To: "hugepagesz=1G hugepages=2"},
			"edit /x: -'hugepagesz=1G hugepages=1' +'hugepagesz=1G hugepages=2'", "edit /x: -'hugepagesz=1G hugepages=2' +'hugepagesz=1G hugepages=1'"},
		{Change{Kind: KindCopy, Path: "/x", To: "0755 0:0 sha256:1", Source: "/y"}, "install -m 0755 /y /x", "rm /x"},
	} {
		if diff := cmp.Diff([]string{test.apply, test.takeBack}, []string{test.change.String(), test.change.Reverse().String()}); diff != "" {
			t.Error(diff)
		}
		if back := test.change.Reverse().Reverse(); back != test.change {
			t.Errorf("%v became %v", test.change, back)
		}
	}
}

// used is the processor time that the test has had: on a busy machine all takes longer.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The longest file that a user can have is shown at once: root prints what becomes of it.
func TestLongFileString(t *testing.T) {
	var text strings.Builder
	for i := 0; text.Len() < MaxFileText-100; i++ {
		fmt.Fprintf(&text, "#%04x\n", i)
	}
	from := "0600 1000:1000\n" + text.String()
	for _, test := range []struct{ to, want string }{
		{from + "a = []\n", "edit /x: +'a = []'"},
		{"0600 1000:1000\n", "edit /x: -'#0000' -'#0001'"},
	} {
		began := used(t)
		got := Change{Kind: KindFile, Path: "/x", From: from, To: test.to}.String()
		if !strings.HasPrefix(got, test.want) {
			t.Errorf("%.100s", got)
		}
		if took := used(t) - began; took > 5*time.Second {
			t.Errorf("%.30s… took %s", got, took)
		}
	}
}
