package explain

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/check"
)

func ids(matches []Match) string {
	var list []string
	for _, m := range matches {
		list = append(list, m.ID)
	}
	return strings.Join(list, " ")
}

// What libvirt 9.0 and QEMU 7.2 really said, and what others say in their place.
func TestExplain(t *testing.T) {
	const qemu = "internal error: process exited while connecting to monitor: 2026-11-21T03:50:15.257Z qemu-system-x86_64: "
	const unexpected = "error: Hook script execution failed: internal error: Child process (LC_ALL=C PATH=/bin HOME=/root /etc/libvirt/hooks/qemu.d/10-a web1 prepare begin -) unexpected "
	const noMemory = "pool-short node-short mount-full min-size cgroup-reserved"
	const noAccess = "folder-mode folder-stale security-module"
	for text, want := range map[string]string{
		qemu + "unable to map backing store for guest RAM: Cannot allocate memory":                                                       noMemory,
		qemu + "unable to map backing store for guest\n  RAM: Cannot allocate\tmemory":                                                   noMemory, // wrapped by a terminal
		"qemu-system-x86_64: unable to map backing store for hugepages: Cannot allocate memory":                                          noMemory,
		qemu + "os_mem_prealloc: Insufficient free host memory pages available to allocate guest RAM":                                    "pool-short node-short",
		qemu + "qemu_prealloc_mem: preallocating memory failed: Bad address":                                                             "node-short cgroup-used memory-limit",
		qemu + "os_mem_prealloc: preallocating memory failed: Bad address":                                                               "node-short cgroup-used memory-limit",
		"internal error: unable to execute QEMU command 'object-add': unable to map backing store for guest RAM: Cannot allocate memory": "hotplug-short mount-full min-size cgroup-reserved",
		qemu + "cannot bind memory to host NUMA nodes: Invalid argument":                                                                 "unaligned node-unfit bindings-contradict",
		// The root cause first.
		"internal error: qemu unexpectedly closed the monitor: qemu_madvise: Invalid argument\nmadvise doesn't support MADV_DONTDUMP, but dump_guest_core=off specified\n2026-11-21T03:50:15.379695Z qemu-system-x86_64: cannot bind memory to host NUMA nodes: Invalid argument": "unaligned node-unfit bindings-contradict",
		qemu + "failed to resize memfd to 50331648: Permission denied":                                                    "apparmor-memfd",
		qemu + "unable to map backing store for guest RAM: Permission denied":                                             "security-module",
		qemu + "failed to resize memfd to 68157440: Invalid argument":                                                     "unaligned",
		qemu + "backend 'memory-backend-file' memory size must be multiple of 2 MiB":                                      "unaligned",
		qemu + "backend memory size must be multiple of 0x40000000":                                                       "device-unaligned unaligned",
		qemu + "memory size 0x4000000 must be equal to or larger than page size 0x40000000":                               "smaller-than-page",
		qemu + "Setting CPU affinity failed: Invalid argument":                                                            "emulatorpin",
		qemu + "The nodes select no CPUs":                                                                                 "apparmor-numa node-without-cpus",
		qemu + "can't open backing store /dev/hugepages/libvirt/qemu/1-web1 for guest RAM: Permission denied":             noAccess,
		"unable to create backing store for hugepages: Permission denied":                                                 "folder-mode folder-stale folder-of-root security-module",
		qemu + "can't open backing store /dev/hugepages/libvirt/qemu/1-web1 for guest RAM: No such file or directory":     "mount-vanished dev-hidden",
		qemu + "can't open backing store /dev/hugepages/libvirt/qemu/1-web1 for guest RAM: No space left on device":       "mount-inodes",
		"error: Unable to create /dev/hugepages/libvirt/qemu/1-web1: No space left on device":                             "mount-inodes",
		"error: unable to create hugepage path /dev/hugepages/libvirt/qemu: No space left on device":                      "mount-inodes",
		"error: unable to create hugepage path /dev/hugepages/libvirt/qemu: Read-only file system":                        "mount-read-only",
		"error: internal error: hugetlbfs filesystem is not mounted or disabled by administrator config":                  "mount-late mount-missing session-mount",
		"internal error: Unable to find any usable hugetlbfs mount for 1048576 KiB":                                       "page-size-missing mount-late mount-missing",
		"failed to create memfd with flags 0x60000007: No such device":                                                    "page-size-missing",
		"Hugepage size must be a power of 2":                                                                              "page-size-missing",
		"unsupported configuration: NUMA node 3 is unavailable":                                                           "node-missing",
		"operation failed: Failed to query numad for the advisory nodeset":                                                "numad-missing numad-fails",
		"unsupported configuration: memory hotplug is not enabled: missing acpi device or acpi disabled":                  "dimm-without-acpi",
		"Could not access KVM kernel module: Permission denied\n-accel kvm: failed to initialize kvm: Permission denied":  "kvm-permission kvm-permission-own",
		"Could not access KVM kernel module: No such file or directory":                                                   "kvm-missing",
		"cannot limit locked memory of process 4242 to 9007199254740991: Operation not permitted":                         "locked-memory",
		"error : virConfErrorHelper:235 : configuration file syntax error: /etc/libvirt/qemu.conf:3: expecting a value":   "conf-refused",
		"internal error: /etc/libvirt/qemu.conf: expected a string for 'user' parameter":                                  "conf-refused",
		"internal error: /etc/libvirt/qemu.conf: expected a string list for 'namespaces' parameter":                       "conf-refused",
		"internal error: cannot determine filesystem for '': No such file or directory":                                   "conf-empty-mount",
		"not a hugetlbfs mount: '/dev/hugepages'":                                                                         "over-mounted",
		"error: Unable to create /dev/hugepages/libvirt/qemu/1-s1: Permission denied":                                     "session-folder security-module",
		unexpected + "exit status 1: vmhuge: 31 of 32 pages":                                                              "hook-refused",
		unexpected + "exit status 126: libvirt: error : cannot execute binary /etc/libvirt/hooks/qemu: Exec format error": "hook-cannot-run hook-refused",
		unexpected + "exit status 127: libvirt: error : cannot execute binary: No such file or directory":                 "hook-cannot-run hook-refused",
		unexpected + "fatal signal 9": "hook-killed hook-refused",
		"error : virCommandWait:2763 : Hook script execution failed: internal error: Child process (LC_ALL=C PATH=/usr/bin HOME=/root /etc/libvirt/hooks/qemu web1 reconnect begin -) unexpected exit status 1: no":                 "hook-reconnect",
		"error : virCommandWait:2763 : Hook script execution failed: internal error: Child process (LC_ALL=C PATH=/usr/bin HOME=/root /etc/libvirt/hooks/qemu.d/10-a web1 reconnect begin -) unexpected fatal signal 9":             "hook-reconnect",
		"error : virCommandWait:2763 : Hook script execution failed: internal error: Child process (LC_ALL=C PATH=/usr/bin HOME=/root /etc/libvirt/hooks/qemu reconnect prepare begin -) unexpected exit status 1: reconnect begin": "hook-refused",
		"virError(Code=70, Domain=34, Message='')":                                                                                              "hook-refused",
		"virError(Code=42, Domain=10, Message='Domain not found: no domain with matching name 'web1'')":                                         "no-domain",
		"error: failed to connect to the hypervisor\nerror: Failed to connect socket to '/run/libvirt/libvirt-sock': No such file or directory": "libvirt-down virtproxyd-down",
		"operation failed: Unable to allocate 20000 pages. Allocated only 10653":                                                                "allocpages-short",
		"Mismatched RAM page size pc.ram (local) 4096 != 2097152":                                                                               "migration-page-size",

		// What is not about this is unknown.
		"": "", "\n \x00\xff": "", "Cannot allocate memory": "", "No space left on device": "", "Permission denied": "",
		"virError(Code=1, Domain=10, Message='internal error: something else')":                "",
		"error: Cannot access storage file '/var/lib/x.img': No such file or directory":        "",
		"unable to map backing store for guest RAM:\nsomething else\n: Cannot allocate memory": "",
	} {
		if got := ids(Explain(text)); got != want {
			t.Errorf("%q:\n%q, not %q", text, got, want)
		}
	}
}

func TestError(t *testing.T) {
	if got := ids(Error(70, "no words of it")); got != "hook-refused" {
		t.Errorf("code 70 is %q", got)
	}
	if got := ids(Error(1, "no words of it")); got != "" {
		t.Errorf("code 1 is %q", got)
	}
}

// A name or a path of a pasted text stays one word of the commands that are advised.
func TestCure(t *testing.T) {
	for _, test := range []struct{ text, domain, want string }{
		{"cannot acquire state change lock", "web1", "virsh domjobinfo web1, "},
		{"cannot acquire state change lock", "", "virsh domjobinfo DOMAIN, "},
		{"cannot acquire state change lock", "db;reboot", "virsh domjobinfo 'db;reboot', "},
		{"cannot acquire state change lock", "two words", "(vmhuge enable --threads auto 'two words' shortens"},
		{"cannot acquire state change lock", "$(id)", "virsh domjobinfo '$(id)', "},
		{"cannot acquire state change lock", "it's", `virsh domjobinfo 'it'\''s', `},
		{"cannot acquire state change lock", "--config", "virsh domjobinfo -- --config, "},
		{"Memory backend 'pc.ram' not found", "--config", "qemu-argv --domain=--config shows"},
		{"Memory backend 'pc.ram' not found", "a b", "qemu-argv --domain='a b' shows"},
		{"can't change numatune mode for running domain", "-x", "--config -- -x, which"},
		{"not a hugetlbfs mount: '/mnt/$(id)'", "", "findmnt '/mnt/$(id)' shows"},
		{"not a hugetlbfs mount: /mnt/huge", "", "findmnt /mnt/huge shows"},
		{"can't open backing store /dev/hugepages/libvirt/qemu/1-$(id) x for guest RAM: Permission denied", "PATH", "vmhuge start PATH fixes it; or namei -l '/dev/hugepages/libvirt/qemu/1-$(id) x' shows"},
	} {
		matches := Explain(test.text)
		if len(matches) == 0 || !strings.Contains(matches[0].Cure(Names{Domain: test.domain}), test.want) {
			t.Errorf("%s: %q has %v, and not %q", test.text, test.domain, matches, test.want)
		}
	}
}

// What a check advises names the domain, of which a check of the host alone knows nothing.
func TestNamed(t *testing.T) {
	for _, test := range []struct{ do, domain, want string }{
		{"systemctl restart libvirtd, or vmhuge enable --source memfd, which needs no mount", "big", "systemctl restart libvirtd, or vmhuge enable --source memfd big, which needs no mount"},
		{"vmhuge enable --source memfd big, which needs no mount", "big", "vmhuge enable --source memfd big, which needs no mount"},
		{"vmhuge enable --size 2M", "a b", "vmhuge enable --size 2M 'a b'"},
		{"vmhuge enable --size 2M", "--now", "vmhuge enable --size 2M -- --now"},
		{"vmhuge enable --size 2M -- --now", "--now", "vmhuge enable --size 2M -- --now"},
		{"vmhuge enable --size 2M, or boot with hugepagesz=1G", "", "vmhuge enable --size 2M DOMAIN, or boot with hugepagesz=1G"},
		{"vmhuge start adds the rule; (vmhuge prepare --for, vmhuge enable --keep no)", "big", "vmhuge start big adds the rule; (vmhuge prepare --for, vmhuge enable --keep no big)"},
		{"vmhuge start adds the rule", "a", "vmhuge start a adds the rule"},
		{"vmhuge check; chmod o+x /dev/hugepages", "big", "vmhuge check; chmod o+x /dev/hugepages"},
		{"", "big", ""},
	} {
		if got := Named(test.do, test.domain); got != test.want {
			t.Errorf("%q of %q: %q, not %q", test.do, test.domain, got, test.want)
		}
	}
}

// A command that changes a domain names it in each cure.
func TestCuresNameTheDomain(t *testing.T) {
	for _, row := range Rows() {
		for _, do := range []string{row.Do, row.Small, row.Own} {
			for _, command := range regexp.MustCompile("vmhuge (?:-c [^ ]+ )?enable[^,;:()]*").FindAllString(do, -1) {
				if !strings.Contains(command, "DOMAIN") {
					t.Errorf("%s: %s", row.ID, command)
				}
			}
		}
	}
}

// The cure is of what the words are about: these parts are in it, and those are not.
func TestCureOfWords(t *testing.T) {
	for _, test := range []struct{ text, has, lacks string }{
		// QEMU looks at the host's plain pages (kvm_check_mmu), not at those behind the memory.
		{"error: internal error: process exited while connecting to monitor: qemu-system-ppc64: KVM can't supply 64kiB CI pages, which guest expects", "<maxpagesize unit='KiB'>4</maxpagesize>", "16 MiB"},
		{"error: Failed to attach device from stick.xml\nerror: internal error: unable to execute QEMU command 'object-add': backend 'memdimm1' memory size must be multiple of 2 MiB", "in the file that is attached", "enable --round"},
		// qemuDomainGetMemLockLimitBytes counts vDPA too, and a <hard_limit> takes the place of what it counts.
		{"qemu-system-x86_64: failed to write, fd=26, errno=12 (Cannot allocate memory)", "N times the guest's memory", "not for vDPA"},
		{"qemu-system-x86_64: VFIO_MAP_DMA failed: Cannot allocate memory", "/etc/security/limits.d", "of the guest's memory and 1 GiB more"},
		{"qemu-kvm: backend 'memnvdimm0' memory size must be multiple of 1 GiB", "<size>", "enable --round"},
		{"qemu-kvm: backend 'memua-extra' memory size must be multiple of 1 GiB", "<size>", "enable --round"},
		{"qemu-kvm: backend 'ram-node0' memory size must be multiple of 1 GiB", "vmhuge enable --round DOMAIN", "attached"},
	} {
		cures := ""
		for _, m := range Explain(test.text) {
			cures += m.Cure(Names{}) + "\n"
		}
		if !strings.Contains(cures, test.has) || test.lacks != "" && strings.Contains(cures, test.lacks) {
			t.Errorf("%s: %q, which is to have %q and not %q", test.text, cures, test.has, test.lacks)
		}
	}
}

// No cure is the size that the guest has already.
func TestCureOfSmallGuest(t *testing.T) {
	for size, want := range map[string]string{
		"0x40000000": "vmhuge enable --size 2M web1, or raise", "0x20000000": "vmhuge enable --size 2M web1, or raise", "0x1000000": "vmhuge enable --size 2M web1, or raise",
		"0x200000": "virsh edit web1: raise <memory>", "0x100000": "virsh edit web1: raise <memory>", "0x10000": "virsh edit web1: raise <memory>",
	} {
		m := Explain("qemu-kvm: memory size 0x8000 must be equal to or larger than page size " + size + "\nerror: Failed to start domain 'web1'")
		if cure := m[0].Cure(Names{Domain: "web1"}); !strings.HasPrefix(cure, want) {
			t.Errorf("%s: %s", size, cure)
		}
	}
}

// Where the daemons are split, no row sends to libvirtd, and none has a word left that
// stands for a name.
func TestCureOfSplitDaemons(t *testing.T) {
	for _, row := range Rows() {
		cure := Match{Row: row}.Cure(Names{Domain: "web1", Daemon: "virtqemud", User: "qemu"})
		if regexp.MustCompile(`libvirtd|DAEMON|USER|DOMAIN`).MatchString(strings.ReplaceAll(cure, `"$USER"`, "") + row.Cause) {
			t.Errorf("%s: %s; %s", row.ID, row.Cause, cure)
		}
	}
	for text, want := range map[string]string{
		"Failed to connect socket to '/run/libvirt/virtqemud-sock': No such file or directory":        "systemctl start virtqemud.socket",
		"Failed to connect socket to '/var/run/libvirt/virtlogd-sock': No such file or directory":     "systemctl start virtlogd.socket, and systemctl enable",
		"Failed to connect socket to '/run/libvirt/virtnetworkd-sock-ro': Connection refused":         "-u virtnetworkd -u virtnetworkd.socket says",
		"unsupported configuration: numad is not available on this host":                              "dnf install numad, or",
		"Could not access KVM kernel module: Permission denied\nerror: Failed to start domain 'web1'": "gpasswd -a qemu kvm, if",
		"$ qemu-system-x86_64 -enable-kvm\nCould not access KVM kernel module: Permission denied":     `sudo usermod -a -G kvm "$USER",`,
	} {
		cure := Explain(text)[0].Cure(Names{Daemon: "virtqemud", User: "qemu", Install: "dnf install"})
		if !strings.Contains(cure, want) {
			t.Errorf("%s: %s, and not %s", text, cure, want)
		}
	}
	if got := (Match{Row: Row{Do: "systemctl start UNIT.socket"}, Path: "/run/a;b"}).Cure(Names{}); got != "systemctl start 'a;b'.socket" {
		t.Error(got)
	}
	// No cure names a file of a libvirt that has its files elsewhere where they are not.
	for _, row := range Rows() {
		for _, do := range []string{row.Do, row.Small, row.Own} {
			if got := (Match{Row: Row{Do: do}}).Cure(Names{Conf: "/opt/libvirt/etc/libvirt"}); strings.Contains(strings.ReplaceAll(got, "/opt/libvirt/etc/libvirt", ""), "/etc/libvirt") {
				t.Errorf("%s: %s", row.ID, got)
			}
		}
		if strings.Contains(row.Cause, "/etc/libvirt") {
			t.Errorf("%s: the cause names a file: %s", row.ID, row.Cause)
		}
	}
	unknown := Match{Row: Row{Do: "usermod USER && systemctl restart DAEMON"}}.Cure(Names{})
	if want := "usermod USER && systemctl restart libvirtd (or virtqemud)"; unknown != want {
		t.Errorf("%q, want %q", unknown, want)
	}
}

// Of a text that names several domains each cure is about the one whose words they are.
func TestSeveralDomains(t *testing.T) {
	const a, b = "error: Failed to start domain 'a'\nerror: unsupported configuration: NUMA node 3 is unavailable\n", "error: Failed to start domain 'b'\nerror: internal error: unable to map backing store for guest RAM: Cannot allocate memory\n"
	const inLine = "virtqemud[1]: QEMU unexpectedly closed the monitor (vm='c'): unable to map backing store for guest RAM: Cannot allocate memory\n"
	for text, want := range map[string]string{
		a: "NUMA node 3 is unavailable:", a + b: "NUMA node 3 is unavailable:a unable to map backing store for guest RAM: Cannot allocate memory:b",
		b + a:               "NUMA node 3 is unavailable:a unable to map backing store for guest RAM: Cannot allocate memory:b",
		a + inLine:          "NUMA node 3 is unavailable:a unable to map backing store for guest RAM: Cannot allocate memory:c",
		b + inLine:          "unable to map backing store for guest RAM: Cannot allocate memory:b unable to map backing store for guest RAM: Cannot allocate memory:c",
		a + inLine + inLine: "NUMA node 3 is unavailable:a unable to map backing store for guest RAM: Cannot allocate memory:c",
		a + a:               "NUMA node 3 is unavailable:",
	} {
		var said []string
		for _, m := range Explain(text) {
			if s := m.Text + ":" + m.Domain; !slices.Contains(said, s) {
				said = append(said, s)
			}
		}
		if got := strings.Join(said, " "); got != want {
			t.Errorf("%s: %s, not %s", text, got, want)
		}
		if several := strings.Contains(want, ":a ") || strings.Contains(want, ":b "); (DomainIn(text) == "") != several {
			t.Errorf("%s: of %q", text, DomainIn(text))
		}
	}
	if cure := Explain(a + b)[1].Cure(Names{}); !strings.HasPrefix(cure, "vmhuge start b allocates") {
		t.Error(cure)
	}
	for text, want := range map[string][]string{"error: Failed to start domain 'x'\nerror: odd\n" + b: {"b"}, a + b: {"a", "b"}, a: {""}, b + inLine + a: {"a", "b", "c"}, "": nil} {
		if got := DomainsOf(Explain(text)); !slices.Equal(got, want) {
			t.Errorf("%s: of %q, not %q", text, got, want)
		}
	}
}

// QEMU with its memory on a folder that libvirt does not make is told of what goes without.
func TestWithoutLibvirt(t *testing.T) {
	for path, want := range map[string]string{"/dev/hugepages": "vmhuge exec -- ", "/mnt/huge/u/x": "vmhuge exec -- ", "/dev/hugepages/libvirt/qemu/1-web1": "vmhuge start DOMAIN"} {
		m := Explain("qemu-kvm: -object memory-backend-file,id=m,size=1G,mem-path=" + path + ": unable to map backing store for guest RAM: Cannot allocate memory")
		if cure := m[0].Cure(Names{}); m[0].ID != "pool-short" || !strings.HasPrefix(cure, want) {
			t.Errorf("%s: %s: %s", path, m[0].ID, cure)
		}
	}
}

func TestDomainIn(t *testing.T) {
	for text, want := range map[string]string{
		"error: Failed to start domain 'web1'\nerror: internal error: …": "web1",
		"error: Failed to create domain 'a b'":                           "a b",
		"error: Failed to start domain web1":                             "web1",
		"Failed to start domain web1error: internal error":               "web1",
		"LibvirtError (vm='web1'): x":                                    "web1",
		// What follows a colon, or joins a reason, is no name.
		"Error: Failed to start domain: hugetlbfs is not mounted":                                    "",
		"Failed to create domain: unsupported configuration: Unable to find":                         "",
		"Failed to restore domain: internal error: qemu unexpectedly closed":                         "",
		"Failed to start the domain: Cannot allocate memory":                                         "",
		"Failed to start domain because: there is no memory":                                         "",
		"Failed to start domain due to a missing page":                                               "",
		"Failed to create domain with 4 GiB":                                                         "",
		"Failed to start domain db2 because of: no memory":                                           "db2",
		"Failed to start domain db2: no memory":                                                      "db2",
		"Failed to start domain db-2.example.org:":                                                   "db-2.example.org",
		"Failed to start domain db2, no memory":                                                      "db2",
		"x: Failed to start domain db2  \nerror: no memory":                                          "db2",
		"Failed to start domain: no memory\ncan't open /dev/hugepages/libvirt/qemu/3-db2: no memory": "db2",
		"a memory device when domain 'maxMemory' is not defined":                                     "",
		"write access on the directory /dev/hugepages/libvirt/qemu/2-vm1.":                           "vm1",
		"then I ran virsh start vm1.":                                                                "vm1",
		"can't open backing store /dev/hugepages/libvirt/qemu/1-a-very-long-name-of- for guest RAM":  "", // may be cut off
		"Failed to start domain ''":                                                                  "",
		"Failed to start domain 'a\nb'":                                                              "",
		"":                                                                                           "",
	} {
		if got := DomainIn(text); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}

func TestPageSizeIn(t *testing.T) {
	for text, want := range map[string]int64{
		"error: Unable to find any usable hugetlbfs mount for 16777216 KiB":                                                                       16777216,
		"错误：不支持的配置：无法为 1048576 KiB 找到任何可用的 hugetlbfs 挂载":                                                                                          1048576,
		`-object {"qom-type":"memory-backend-memfd","hugetlb":true,"hugetlbsize":2097152}: failed to create memfd with flags 0x7: No such device`: 2048,
		"-object memory-backend-memfd,hugetlb=on,hugetlbsize=1G: failed to create memfd: No such device":                                          1 << 20,
		"unable to map backing store for guest RAM: Cannot allocate memory":                                                                       0,
		"Unable to find any usable hugetlbfs mount for 99999999999999999999 KiB":                                                                  0,
		"tee: /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages: Permission denied":                                                          0,
	} {
		if got := PageSizeIn(text); got != want {
			t.Errorf("%q: %d, not %d", text, got, want)
		}
	}
}

func TestLastStart(t *testing.T) {
	const start = "2026-11-21 03:28:16.123+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4\n"
	for text, want := range map[string]string{
		"":                                  "",
		"a\nb":                              "a\nb",
		start + "a\n":                       start + "a\n",
		"x\n" + start + "a\n" + start + "b": start + "b",
		": starting up libvirt version: ":   ": starting up libvirt version: ",
	} {
		if got := LastStart(text); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}

// partOfName finds the words of Names where they are a part of another word.
var partOfName = regexp.MustCompile(`[\w$](PATH|USER|UNIT|DAEMON|INSTALL|DOMAIN)\b|\b(PATH|USER|UNIT|DAEMON|INSTALL|DOMAIN)\w`)

// The rows are whole, and the checks and the table name each other.
func TestRows(t *testing.T) {
	checks := map[string]bool{"domain": true, "xml": true} // the launcher's
	for _, c := range check.Checks() {
		checks[c.Name] = true
	}
	seen := map[string]bool{}
	for _, row := range Rows() {
		switch {
		case seen[row.ID]:
			t.Errorf("%s stands twice", row.ID)
		case len(row.Says) == 0 || row.Cause == "" || row.Do == "":
			t.Errorf("%s is not whole", row.ID)
		case row.Check != "" && !checks[row.Check]:
			t.Errorf("%s: there is no check %s", row.ID, row.Check)
		}
		seen[row.ID] = true
		for _, do := range []string{row.Do, row.Small, row.Own} {
			if within := partOfName.FindString(strings.ReplaceAll(do, `"$USER"`, "")); within != "" {
				t.Errorf("%s: %s would be taken for a name", row.ID, within)
			}
		}
		for _, says := range row.Says {
			if got := Explain(example(row, says)); !slices.ContainsFunc(got, func(m Match) bool { return m.ID == row.ID }) {
				t.Errorf("%s does not know its own words: %s", row.ID, says)
			}
		}
	}
	for _, path := range []string{"../hostprep/cause.go", "../xml/cause.go"} {
		causes, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile(`Cause += "(.+)"`).FindAllStringSubmatch(string(causes), -1)
		for _, cause := range named {
			if !seen[cause[1]] {
				t.Errorf("%s names %s, which is no row", path, cause[1])
			}
		}
		if len(named) == 0 {
			t.Error("no cause is read in " + path)
		}
	}
}

// example is what a program says in a row's words.
func example(row Row, says string) (text string) {
	on := map[Place]string{GuestFolder: "/dev/hugepages/libvirt/qemu/1-web1", MountRoot: "/dev/hugepages", HugeFile: "/dev/hugepages/u", SharedMem: "/dev/shm/x", Looking: "/dev/kvmfr0", Proxmox: "/run/hugepages/kvm/2048kB"}
	path := on[GuestFolder]
	if len(row.On) > 0 {
		path = on[row.On[0]]
	}
	if len(row.With) > 0 {
		defer func() { text = row.With[0] + "\n" + text }()
	}
	if kind := map[Place]string{Anonymous: "ram", Enclave: "epc", Device: "file,id=shmmem-shmem0"}; len(row.On) > 0 && kind[row.On[0]] != "" {
		return "qemu-kvm: -object memory-backend-" + kind[row.On[0]] + ",mem-path=/dev/shm/x: " + strings.NewReplacer("…", "x y", lineEnd, "", "PATH", "/dev/shm/x").Replace(says)
	}
	says = strings.TrimSuffix(says, lineEnd)
	text = strings.ReplaceAll(strings.ReplaceAll(says, "…", "x y"), "PATH", path)
	if text == says {
		text = "mem-path=" + path + ": " + text
	}
	return text
}

func FuzzExplain(f *testing.F) {
	for _, row := range Rows() {
		for _, says := range row.Says {
			f.Add(says, "")
			f.Add("error: "+says, fmt.Sprintf("virError(Code=%d, ", append(row.Codes, 1)[0]))
		}
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		rank := map[string]int{}
		for i, row := range Rows() {
			rank[row.ID] = i
		}
		matches := Explain(before)
		for i, m := range matches {
			if m.Text == "" || i > 0 && (rank[matches[i-1].ID] > rank[m.ID] || matches[i-1].ID == m.ID && matches[i-1].Domain == m.Domain) {
				t.Errorf("%q: %v", before, matches)
			}
			// The words really stand there.
			words := strings.Join(strings.Fields(English(Clean(before))), " ")
			if !strings.Contains(words, m.Text) && !strings.Contains(before, m.Text) {
				t.Errorf("%q is not in %q", m.Text, before)
			}
		}
		if diff := cmp.Diff(ids(matches), ids(Explain(before))); diff != "" {
			t.Error(diff)
		}
		if strings.ContainsAny(before+after, ">&") {
			return // what is quoted may not count
		}
		// What follows behind an empty line takes away only what a row leaves to others by
		// words anywhere, and with Proxmox's words what depends on whose memory it is.
		both, more := newReading(before+"\n\n"+after), map[string]bool{}
		for _, m := range Explain(before + "\n\n" + after) {
			more[m.ID] = true
		}
		for _, m := range matches {
			left := saysAny(compile(m.UnlessAny), both) || len(m.On) > 0 && both.platform == proxmox && newReading(before).platform != proxmox
			if !more[m.ID] && !left && !strings.HasPrefix(m.Text, "Code=") {
				t.Errorf("%s is in %q, but not with %q behind", m.ID, before, after)
			}
		}
		_ = LastStart(before)
		if strings.ContainsAny(DomainIn(before), "'\n") {
			t.Errorf("the domain of %q is %q", before, DomainIn(before))
		}
	})
}
