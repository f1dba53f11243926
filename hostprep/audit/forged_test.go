package audit

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// What an attacker gets into the logs advises no rule and no command of theirs. Any
// process chooses its name, a QEMU that was broken into chooses its paths, and syslog
// takes whole records from everybody.
func TestForgedRecords(t *testing.T) {
	appArmor := func(name string) string {
		return `audit: type=1400 audit(1636697125.209:59): apparmor="DENIED" operation="open" profile="libvirt-` + guestUUID + `" name=` + name + ` pid=14630 comm="qemu-system-x86" requested_mask="rw" denied_mask="rw"`
	}
	seLinux := func(comm, path, subject string) string {
		return `type=AVC msg=audit(1636697125.209:59): avc:  denied  { read } for  pid=1681 comm=` + comm + ` path=` + path + ` dev="hugetlbfs" ino=86 scontext=system_u:system_r:` + subject + `:s0 tcontext=system_u:object_r:hugetlbfs_t:s0 tclass=file permissive=0`
	}
	hexed := func(s string) string { return hex.EncodeToString([]byte(s)) }
	for name, row := range map[string]struct {
		record string
		found  bool
		never  []string // in what to do
	}{
		"a pattern":                 {appArmor(`"/{dev/hugepages,**}"`), true, []string{"{", "rule"}},
		"a pattern on the mount":    {appArmor(`"/dev/hugepages/{a,../../**}"`), true, []string{"{", "rule"}},
		"a second rule":             {appArmor(hexed("/dev/hugepages/a\" rw,\n/** rwk,\n\"")), true, []string{"/** rwk", "rule"}},
		"out of the mount":          {appArmor(`"/dev/hugepages/../../etc/shadow"`), true, []string{"shadow", "rule"}},
		"a folder of that name":     {appArmor(`"/home/eve/hugepages/libvirt/qemu/x"`), true, []string{"eve", "rule"}},
		"a memfd's name":            {appArmor(`"/memfd:{x,/**}"`), true, []string{"{", "rule"}},
		"a process's name":          {seLinux(`"qemu';id;'"`, `"/"`, "user_t"), false, nil},
		"a container's":             {seLinux(`"qemu';id;'"`, `"/"`, "container_t"), true, []string{"id;"}},
		"a command for a path":      {seLinux(`"qemu-kvm"`, hexed("/tmp/;id;/hugepages/libvirt/qemu/x"), "svirt_t"), true, []string{"id;", "/tmp"}},
		"a command for a folder":    {seLinux(`"qemu-kvm"`, hexed("/dev/hugepages$(id)/x"), "svirt_t"), true, []string{"$"}},
		"a command for a type":      {seLinux(`"qemu-kvm"`, `"/"`, "svirt_t;id;"), true, []string{"id;"}},
		"everything that is denied": {seLinux(`"qemu-kvm"`, `"/"`, "svirt_t"), true, []string{"-c "}},
	} {
		found, err := DeniedIn(host.Host{Root: hosttest.Unpack(t, "one-node", "")}, row.record)
		if err != nil || len(found) > 0 != row.found {
			t.Errorf("%s: %+v %v", name, found, err)
		}
		for _, f := range found {
			for _, never := range row.never {
				if strings.Contains(f.Do, never) || f.Do == "" {
					t.Errorf("%s: it advises %q", name, f.Do)
				}
			}
		}
	}
}

// A program that may write to /dev/kmsg is not taken for the kernel.
func TestRecordsOfPrograms(t *testing.T) {
	record := strings.TrimPrefix(kmsgRecord, "6,")
	for priority, want := range map[string]int{"6,": 1, "5,": 1, "14,": 0, "30,": 0, "-1,": 0, "": 0} {
		if got := len(parseDenials(kernelRecord(priority + record))); got != want {
			t.Errorf("%q: %d denials, not %d", priority, got, want)
		}
	}
	h := host.Host{Root: hosttest.Unpack(t, "one-node", "-- dev/kmsg --\n14,"+record+"\n")}
	if found, err := Denied(h, "", false, time.Unix(1600267331, 0)); err != nil || len(found) > 0 {
		t.Errorf("%+v %v", found, err)
	}
}
