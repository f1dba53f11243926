package audit

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

const guestUUID = "1c01664c-8f99-4942-85c9-2c0c90b2e92b"

// Real records, but for the paths of huge pages in them.
const (
	kmsgRecord = `6,1021,25941000595,-;audit: type=1400 audit(1600267331.284:8573): apparmor="DENIED" operation="open" profile="libvirt-` + guestUUID + `" name="/sys/devices/system/node/node1/cpumap" pid=204198 comm="qemu-system-x86" requested_mask="r" denied_mask="r" fsuid=64055 ouid=0`
	kernRecord = `Nov 11 22:05:25 hexy kernel: [83768.847824] audit: type=1400 audit(1636697125.209:59): apparmor="DENIED" operation="open" class="file" profile="libvirt-` + guestUUID + `" name=2F6465762F6875676570616765732F6C6962766972742F71656D752F312D612062 pid=14630 comm="qemu-system-x86" requested_mask="rwc" denied_mask="wc" fsuid=1000 ouid=0`
	noise      = `Nov 11 22:05:25 hexy audit[14630]: AVC apparmor="DENIED" operation="open" profile="libvirt-` + guestUUID + `" name="/proc/sys/dev/i915/perf_stream_paranoid" pid=14630 comm="qemu-system-x86" requested_mask="r" denied_mask="r" fsuid=1000 ouid=0`
	auditd     = `type=AVC msg=audit(1729238705.963:170): avc:  denied  { read write } for  pid=1681 comm="qemu-kvm" path="/mnt/huge/libvirt/qemu/1-web1/x" dev="hugetlbfs" ino=86 scontext=system_u:system_r:svirt_t:s0:c1,c2 tcontext=system_u:object_r:hugetlbfs_t:s0 tclass=file permissive=0`
	permitted  = `type=AVC msg=audit(1729238705.963:171): avc:  denied  { open } for  pid=1681 comm="qemu-kvm" path="/mnt/huge/x" dev="hugetlbfs" ino=86 scontext=system_u:system_r:svirt_t:s0 tcontext=system_u:object_r:hugetlbfs_t:s0 tclass=file permissive=1`
	daemon     = `type=AVC msg=audit(1729238705.963:171): avc:  denied  { write } for  pid=1681 comm="rpc-virtqemud" name="/" dev="hugetlbfs" ino=4829 scontext=system_u:system_r:virtqemud_t:s0 tcontext=system_u:object_r:hugetlbfs_t:s0 tclass=dir permissive=0`
	// /memfd:memory-backend-memfd (deleted)
	memfdRecord   = `type=AVC msg=audit(1729238705.963:174): avc:  denied  { read write } for  pid=20266 comm="qemu-system-x86" path=2F6D656D66643A6D656D6F72792D6261636B656E642D6D656D6664202864656C6574656429 dev="hugetlbfs" ino=1482 scontext=system_u:system_r:svirt_t:s0 tcontext=system_u:object_r:hugetlbfs_t:s0 tclass=file permissive=0`
	memfdAppArmor = `Nov 11 22:05:25 h kernel: audit: type=1400 audit(1636697125.284:8573): apparmor="DENIED" operation="truncate" class="file" profile="libvirt-` + guestUUID + `" name="/" pid=204198 comm="qemu-system-x86" requested_mask="w" denied_mask="w" fsuid=64055 ouid=0`
	otherDaemo    = `type=AVC msg=audit(07/17/2026 06:00:47.278:425) : avc:  denied  { getattr } for  pid=7200 comm=qat_init.sh path=/dev/hugepages dev="hugetlbfs" ino=4829 scontext=system_u:system_r:qatlib_t:s0 tcontext=system_u:object_r:hugetlbfs_t:s0 tclass=dir permissive=0`
)

func TestParseDenials(t *testing.T) {
	want := []Denial{
		{"AppArmor", "libvirt-" + guestUUID, "qemu-system-x86", 204198, "r", "/sys/devices/system/node/node1/cpumap", "", "", time.Unix(1600267331, 0)},
		{"AppArmor", "libvirt-" + guestUUID, "qemu-system-x86", 14630, "wc", "/dev/hugepages/libvirt/qemu/1-a b", "", "", time.Unix(1636697125, 0)},
		{"SELinux", "system_u:system_r:svirt_t:s0:c1,c2", "qemu-kvm", 1681, "read write", "/mnt/huge/libvirt/qemu/1-web1/x", "system_u:object_r:hugetlbfs_t:s0", "hugetlbfs", time.Unix(1729238705, 0)},
		{"SELinux", "system_u:system_r:qatlib_t:s0", "qat_init.sh", 7200, "getattr", "/dev/hugepages", "system_u:object_r:hugetlbfs_t:s0", "hugetlbfs", time.Time{}},
	}
	got := parseDenials(strings.Join([]string{kmsgRecord, "apparmor=ALLOWED", kernRecord, auditd, permitted, "", otherDaemo}, "\n"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzDenials(f *testing.F) {
	for _, line := range []string{kmsgRecord, kernRecord, noise, auditd, permitted, otherDaemo, `apparmor="DENIED" name="`, "avc:  denied  { a } path=zz\n pid=-1 comm=6"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range parseDenials(text) {
			if d.Module == "AppArmor" && !strings.Contains(text, "DENIED") || d.Module == "SELinux" && !strings.Contains(text, d.What) {
				t.Errorf("%+v", d)
			}
			d.concerns(guestUUID, []host.Mount{{Point: "/dev/hugepages"}})
		}
	})
}

func TestDenied(t *testing.T) {
	now := time.Unix(1636697125, 0).Add(time.Minute)
	for name, test := range map[string]struct{ edit, uuid, want string }{
		"nothing on record": {"", guestUUID, ""},
		"the kernel's log, long ago": {"-- dev/kmsg --\n" + kmsgRecord + "\n", guestUUID, `
denials note no-access: AppArmor denied qemu-system-x86 (process 204198) "r" access to /sys/devices/system/node/node1/cpumap, 2020-09-16T14:42:11Z; vmhuge start adds the rule @{sys}/devices/system/node/*/cpumap r,`},
		"of another guest": {"-- dev/kmsg --\n" + kmsgRecord + "\n", "1c01664c-8f99-4942-85c9-2c0c90b2e92c", ""},
		"two logs that say the same, and what is no matter of pages": {"-- dev/kmsg --\n" + kernRecord + "\n-- var/log/kern.log --\n" + kernRecord + "\n" + noise + "\n", "", `
denials warning no-access: AppArmor denied qemu-system-x86 (process 14630) "wc" access to /dev/hugepages/libvirt/qemu/1-a b, 2021-11-12T06:05:25Z; add the rule "/dev/hugepages/libvirt/qemu/**" rwk, to /etc/apparmor.d/local/abstractions/libvirt-qemu, or vmhuge enable --source memfd && vmhuge start, which needs no path`},
		"SELinux": {"-- var/log/audit/audit.log --\n" + auditd + "\n" + permitted + "\n" + otherDaemo + "\n-- proc/self/mountinfo --\n" + hosttest.RootMounts + "44 27 0:41 / /mnt/huge rw - hugetlbfs none rw,pagesize=2M\n", guestUUID, `
denials warning no-access: SELinux denied qemu-kvm (process 1681) "read write" access to /mnt/huge/libvirt/qemu/1-web1/x, 2024-10-18T08:05:05Z; update the policy (selinux-policy), or allow it: ausearch -m avc --raw -su :svirt_t: -o :hugetlbfs_t: | audit2allow -M vmhuge-local && semodule -i vmhuge-local.pp, or vmhuge enable --source memfd, which has no path`},
		"the daemon, before it makes the guest's folder": {"-- var/log/audit/audit.log --\n" + daemon + "\n", guestUUID, `
denials warning no-access: SELinux denied rpc-virtqemud (process 1681) "write" access to the root of a hugetlbfs, 2024-10-18T08:05:05Z; update the policy (selinux-policy), or allow it: ausearch -m avc --raw -su :virtqemud_t: -o :hugetlbfs_t: | audit2allow -M vmhuge-local && semodule -i vmhuge-local.pp, or vmhuge enable --source memfd, which has no path`},
		"a mount without labels": {"-- var/log/audit/audit.log --\n" + strings.ReplaceAll(auditd, "hugetlbfs_t", "unlabeled_t") + "\n", guestUUID, `
denials warning no-access: SELinux denied qemu-kvm (process 1681) "read write" access to /mnt/huge/libvirt/qemu/1-web1/x, 2024-10-18T08:05:05Z; restorecon -R /mnt/huge, or vmhuge enable --source memfd, which has no path`},
		"a memfd under SELinux": {"-- var/log/audit/audit.log --\n" + memfdRecord + "\n", guestUUID, `
denials warning no-access: SELinux denied qemu-system-x86 (process 20266) "read write" access to its memfd, 2024-10-18T08:05:05Z; vmhuge enable --source file, or update the policy (selinux-policy), or allow it: ausearch -m avc --raw -su :svirt_t: -o :hugetlbfs_t: | audit2allow -M vmhuge-local && semodule -i vmhuge-local.pp`},
		"a memfd under AppArmor": {"-- var/log/kern.log --\n" + memfdAppArmor + "\n", guestUUID, `
denials warning no-access: AppArmor denied qemu-system-x86 (process 204198) "w" access to its memfd, 2021-11-12T06:05:25Z; vmhuge enable --source file, or vmhuge start adds the rule / rw,`},
		"the root of another file system": {"-- var/log/audit/audit.log --\n" + strings.ReplaceAll(strings.ReplaceAll(daemon, "hugetlbfs_t", "tmpfs_t"), `"hugetlbfs"`, `"tmpfs"`) + "\n", guestUUID, ""},
	} {
		findings, err := Denied(host.Host{Root: hosttest.Unpack(t, "one-node", test.edit)}, test.uuid, false, now)
		var lines []string
		for _, f := range findings {
			lines = append(lines, guesttest.Show([]hostprep.Finding{f})+"; "+f.Do)
		}
		if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), strings.Join(lines, "\n")); err != nil || diff != "" {
			t.Errorf("%s: %s%v", name, diff, err)
		}
	}
}

// Of a guest whose RAM is a file with a name no denied memfd is told, whatever the file is called.
func TestDeniedFile(t *testing.T) {
	log := memfdRecord + "\n" + strings.ReplaceAll(auditd, "1-web1", "1-its memfd") + "\n"
	findings, err := Denied(host.Host{Root: hosttest.Unpack(t, "one-node", "-- var/log/audit/audit.log --\n"+log)}, "", true, time.Unix(1729238705, 0))
	if err != nil || len(findings) != 1 || !strings.Contains(findings[0].Have, "/1-its memfd/x") {
		t.Errorf("%+v %v", findings, err)
	}
}

// A record that is pasted is of no known time, and may be of another host.
func TestDeniedIn(t *testing.T) {
	findings, err := DeniedIn(host.Host{Root: hosttest.Unpack(t, "one-node", "")}, "x\n"+memfdRecord+"\n"+noise)
	if err != nil || len(findings) != 1 || findings[0].Severity != hostprep.Warning || strings.Contains(findings[0].Have, "2024") {
		t.Errorf("%+v %v", findings, err)
	}
}

// The real kernel's log is read to its end, and no further.
func TestKmsg(t *testing.T) {
	hosttest.NeedRoot(t)
	if _, err := readKmsg((host.Host{Root: "/"})); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
}
