package hostpage

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// With a hook that libvirt may not run no guest starts, whatever its memory: the host is not
// ready.
func TestHookThatMayNotRun(t *testing.T) {
	const file = "etc/libvirt/hooks/qemu.d/90-vmhuge"
	h := host.Host{Root: hosttest.Unpack(t, "fedora-selinux", hosttest.SELinux()+hosttest.HookContexts+
		"-- "+file+" --\npath\tvmhuge/cmd/vmhuge-hook\nmod\tvmhuge\t(devel)\n-- modes --\n"+file+" 0755 0:0\n")}
	hosttest.Must(t, unix.Setxattr(h.Root.Path(file), "security.selinux", []byte("system_u:object_r:virt_hook_t:s0\x00"), 0))
	facts := Facts(h, Libvirt{})
	if verdict := Conclude(facts); verdict != hostprep.BadHost {
		t.Errorf("verdict %s", verdict)
	}
	lines := strings.Join(factLines(t, facts), "\n")
	for _, want := range []string{
		"ok hook: /" + file + ", but libvirt may not run it, and no guest starts",
		"blocker hook: SELinux denies virtqemud_t execute, execute_no_trans of a file of type virt_hook_t",
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("%s\nhas no line %s", lines, want)
		}
	}
}

// Where the policy keeps each guest from its folder on the hugetlbfs, the host is not ready.
func TestPagesThatSELinuxDenies(t *testing.T) {
	const folder = "virtqemud_t:s0 system_u:object_r:hugetlbfs_t:s0 7 = "
	for policy, want := range map[string]hostprep.Verdict{
		hosttest.SELinux(): hostprep.Ready,
		strings.Replace(hosttest.SELinux(), folder+"7", folder+"3", 1): hostprep.NoAccess,
	} {
		h := host.Host{Root: hosttest.Unpack(t, "fedora-selinux", policy)}
		hosttest.Must(t, unix.Setxattr(h.Root.Path("dev/hugepages"), "security.selinux", []byte("system_u:object_r:hugetlbfs_t:s0\x00"), 0))
		facts := Facts(h, Libvirt{})
		lines := strings.Join(factLines(t, facts), "\n")
		if said := strings.Contains(lines, "blocker SELinux: SELinux denies virtqemud_t relabelfrom of a dir of type hugetlbfs_t"); Conclude(facts) != want || said != (want != hostprep.Ready) {
			t.Errorf("verdict %s, want %s:\n%s", Conclude(facts), want, lines)
		}
	}
}
