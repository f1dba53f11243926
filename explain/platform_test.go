package explain

import (
	"strings"
	"testing"
)

// A guest that a platform starts has no cure that is a command for a domain of libvirt.
func TestPlatforms(t *testing.T) {
	for name, text := range map[string]string{
		"KubeVirt":        `{"component":"virt-launcher","level":"error","msg":"internal error: qemu unexpectedly closed the monitor: qemu-kvm: SAID"}`,
		"Kata Containers": "Failed to create pod sandbox: OCI runtime create failed: qemu-system-x86_64: SAID: unknown (kata-runtime 2.1)",
		"Incus or LXD":    "$ incus info --show-log vm\nLog:\nqemu-system-x86_64: SAID",
		"OpenStack":       "ERROR nova.virt.libvirt.driver libvirt.libvirtError: internal error: qemu unexpectedly closed the monitor: qemu-kvm: SAID",
		"oVirt":           "vdsm[2210]: WARN libvirt.libvirtError: internal error: process exited while connecting to monitor: qemu-kvm: SAID",
		"Proxmox VE":      "kvm: SAID\nTASK ERROR: start failed: QEMU exited with code 1",
	} {
		for _, said := range []string{
			"unable to map backing store for guest RAM: Cannot allocate memory", "qemu_prealloc_mem: preallocating memory failed: Bad address", "os_mem_prealloc: Insufficient free host memory pages available to allocate guest RAM",
			"failed to resize memfd to 1074790400: Invalid argument", "memory size 0x200000 must be equal to or larger than page size 0x40000000",
			"can't open backing store /dev/hugepages/libvirt/qemu/1-a for guest RAM: Permission denied", "can't open backing store /dev/hugepages for guest RAM: No such file or directory",
			"VFIO_MAP_DMA failed: Cannot allocate memory", "kvm_init_vcpu failed: Cannot allocate memory", "mlock: Cannot allocate memory", "backend memory size must be multiple of 0x200000",
		} {
			matches := Explain(strings.ReplaceAll(text, "SAID", said))
			for _, m := range matches {
				if m.platform == nil || m.platform.name != name {
					t.Fatalf("%s: %s is of %v", name, said, m.platform)
				}
				for _, no := range []string{"vmhuge start", "vmhuge enable", "vmhuge exec", "vmhuge check DOMAIN", "virsh edit DOMAIN", "DOMAIN"} {
					if cure := m.Cure(Names{}); strings.Contains(cure, no) {
						t.Errorf("%s, %s: %s has %q", name, m.ID, cure, no)
					}
				}
			}
			if len(matches) == 0 && name != "Proxmox VE" {
				t.Errorf("%s: %s is unknown", name, said)
			}
		}
	}
	const short = "\nerror: unable to map backing store for guest RAM: Cannot allocate memory"
	for _, text := range []string{"error: Failed to start domain 'db'" + short, "uid=1000(u) gid=1000(u) groups=1000(u),27(sudo),108(kvm),110(lxd),998(incus-admin)" + short,
		"see https://docs.openstack.org/nova and https://forum.proxmox.com/threads/1" + short, "error: Failed to start domain 'kata'" + short, "$ qemu-system-x86_64 -m 4G\nqemu-system-x86_64: unable to map backing store for guest RAM: Cannot allocate memory"} {
		if m := Explain(text)[0]; m.platform != nil {
			t.Errorf("%s is of %s", text, m.platform.name)
		}
	}
}

// Each cure fits what the words show: these parts are in one of them, and those in none.
func TestCureOfOthers(t *testing.T) {
	const hook = "Hook script execution failed: internal error: Child process (LC_ALL=C HOME=/root /etc/libvirt/hooks/qemu a prepare begin -) unexpected exit status 1: "
	for _, test := range []struct{ text, has, lacks string }{
		{hook + "line 3: /proc/sys/vm/nr_hugepages: Permission denied", "systemd-detect-virt --container", "as root"},
		{hook + "tee: /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages: Operation not permitted", "journalctl -k | grep -i denied", "as root"},
		{hook + "line 3: /proc/sys/vm/nr_hugepages: Read-only file system", "ProtectKernelTunables=no", "as root"},
		{strings.Replace(hook, "/root", "/home/u", 1) + "line 3: /proc/sys/vm/nr_hugepages: Permission denied", "before the start", "SELinux"},
		{"bash: /proc/sys/vm/nr_hugepages: Read-only file system", "on the host: vmhuge prepare", "as root"},
		{"$ sudo echo 8 > /proc/sys/vm/nr_hugepages\nbash: /proc/sys/vm/nr_hugepages: Permission denied", "as root: vmhuge prepare", "systemd-detect-virt"},
		{`systemd-oomd[7]: Killed /machine.slice/machine-qemu-3-web1.scope due to memory pressure for /machine.slice being 71.44% > 60.00%`, "oomctl", "hard_limit"},
		{"HugeTLB: hugetlb_cma is enabled, skip boot time allocation", "off the command line", "--persist"},
		{"hugetlb_cma: cma area of node 0 should be at least 1024 MiB", "ask for more", "less"},
		{"hugetlb_cma: reservation failed: err -12, node 0", "ask for less", "more"},
		{"[    0.000000] cma: Failed to reserve 1024 MiB", "ask for less", "more"},
		{"hugetlb_cma: reserved 4096 MiB on node 0", "nothing", "hugepages="},
		{"qemu-system-ppc64: unable to map backing store for guest RAM: Cannot allocate memory\nqemu-system-ppc64: warning: falling back to regular RAM allocation", "vmhuge exec", "vmhuge start"},
		{"virt-launcher: cannot limit locked memory of process 111 to 9007199254740991: Operation not permitted", "virt-handler", "virsh edit"},
		{"EAL: Can only reserve 245 pages from 1024 requested\nEAL: FATAL: Cannot init memory", "1 GiB", "keeps them from guests"},
		{"ORA-27102: out of memory\nLinux-x86_64 Error: 28: No space left on device", "kernel.shmall", "vmhuge prepare"},
		{`-object {"qom-type":"memory-backend-file","id":"shmmem-shmem0","mem-path":"/dev/hugepages/x"}: can't open backing store /dev/hugepages/x for guest RAM: Permission denied`, "rm /dev/hugepages/x", "vmhuge start"},
	} {
		cures := ""
		for _, m := range Explain(test.text) {
			cures += m.Cure(Names{}) + "\n"
		}
		if !strings.Contains(cures, test.has) || strings.Contains(cures, test.lacks) {
			t.Errorf("%s: %q, which is to have %q and not %q", test.text, cures, test.has, test.lacks)
		}
	}
}
