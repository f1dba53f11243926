package boot

import (
	"fmt"
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

const grubHost = "-- usr/sbin/grub-mkconfig --\n. ${sysconfdir}/default/grub\nfor x in ${sysconfdir}/default/grub.d/*.cfg\n"

func grubCfg(line string) string {
	return "-- boot/grub/grub.cfg --\nset default=\"0\"\nset tuned_params=\"quiet hugepagesz=1G hugepages=3\"\nmenuentry 'Debian' {\n\tlinux\t/vmlinuz-6.1 root=/dev/vda ro " + line +
		"\n}\nmenuentry 'recovery' {\n\tlinux\t/vmlinuz-6.1 root=/dev/vda ro single\n}\n"
}

func grubDefaultsOf(line string) string {
	return grubHost + "-- etc/default/grub --\nGRUB_CMDLINE_LINUX_DEFAULT=\"" + line + "\"\n"
}

// What the boot loader's files ask for, and the running kernel was not asked for, comes with
// the next boot: at once, or when the menu has been made anew.
func TestNextBoot(t *testing.T) {
	const tuned = "-- etc/tuned/active_profile --\nvms\n-- usr/lib/systemd/system/multi-user.target.wants/tuned.service --\n[Service]\n"
	const profile = tuned + "-- etc/tuned/vms/tuned.conf --\n[main]\ninclude=base\n[bootloader]\ncmdline_vms=+hugepagesz=1G hugepages=12 isolcpus=${cores}\n-- usr/lib/tuned/base/tuned.conf --\n[bootloader]\ncmdline=\"hugepages=64\"\n"
	for name, test := range map[string]struct{ files, want, reserves string }{
		"nothing":                    {"", "", ""},
		"the menu":                   {grubDefaultsOf("quiet hugepagesz=1G hugepages=12") + grubCfg("quiet hugepagesz=1G hugepages=12"), "/boot/grub/grub.cfg 12 1 GiB, 0 now", "/etc/default/grub 12 1 GiB"},
		"the menu is not made yet":   {grubDefaultsOf("quiet hugepagesz=1G hugepages=12") + grubCfg("quiet"), "/etc/default/grub 12 1 GiB, 0 now; first update-grub", "/etc/default/grub 12 1 GiB"},
		"a file of grub.d":           {grubDefaultsOf("quiet") + "-- etc/default/grub.d/50-huge.cfg --\nGRUB_CMDLINE_LINUX=\"hugepages=8\"\n" + grubCfg(""), "/etc/default/grub.d/50-huge.cfg 8 2 MiB, 0 now; first update-grub", "/etc/default/grub.d/50-huge.cfg 8 2 MiB"},
		"more than now":              {"-- proc/cmdline --\nro hugepages=64\n" + grubDefaultsOf("hugepages=128") + grubCfg("hugepages=128"), "/boot/grub/grub.cfg 128 2 MiB, 64 now", "/etc/default/grub 128 2 MiB"},
		"as now":                     {"-- proc/cmdline --\nro hugepages=64\n" + grubDefaultsOf("hugepages=64") + grubCfg("hugepages=64"), "", "the kernel's command line 64 2 MiB"},
		"fewer than now":             {"-- proc/cmdline --\nro hugepages=64\n" + grubDefaultsOf("hugepages=8") + grubCfg("hugepages=8"), "", "the kernel's command line 64 2 MiB"},
		"vmhuge's own":               {grubDefaultsOf("quiet vmhuge.begin hugepagesz=1G hugepages=2 vmhuge.end") + grubCfg("quiet vmhuge.begin hugepagesz=1G hugepages=2 vmhuge.end"), "", ""},
		"in a comment":               {grubHost + "-- etc/default/grub --\n#GRUB_CMDLINE_LINUX_DEFAULT=\"hugepages=8\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"\"\n", "", ""},
		"Red Hat's entries":          {"-- etc/default/grub --\nGRUB_ENABLE_BLSCFG=true\n-- boot/loader/entries/a-6.1.conf --\nlinux /vmlinuz\noptions ro hugepages=5\n-- boot/loader/entries/b-6.2.conf --\nlinux /vmlinuz\noptions ro hugepages=7\n", "/boot/loader/entries/a-6.1.conf 5 2 MiB, 0 now", "/boot/loader/entries/a-6.1.conf 5 2 MiB"},
		"tuned's words in the menu":  {grubDefaultsOf("quiet") + grubCfg("quiet $tuned_params"), "/boot/grub/grub.cfg 3 1 GiB, 0 now", "/boot/grub/grub.cfg 3 1 GiB"},
		"tuned, not in the menu yet": {grubDefaultsOf("quiet") + grubCfg("quiet") + profile, "/etc/tuned/vms/tuned.conf:4 64 2 MiB, 0 now; first systemctl restart tuned\n/etc/tuned/vms/tuned.conf:4 12 1 GiB, 0 now; first systemctl restart tuned", "/etc/tuned/vms/tuned.conf:4 64 2 MiB\n/etc/tuned/vms/tuned.conf:4 12 1 GiB"},
		"tuned, booted":              {"-- proc/cmdline --\nro hugepages=64 hugepagesz=1G hugepages=12\n" + grubDefaultsOf("quiet") + profile, "", "/etc/tuned/vms/tuned.conf:4 64 2 MiB\n/etc/tuned/vms/tuned.conf:4 12 1 GiB"},
		"tuned leaves GRUB alone":    {tuned + "-- etc/tuned/vms/tuned.conf --\n[bootloader]\nskip_grub_config=true\ncmdline=hugepages=8\n", "", ""},
		"tuned takes words away":     {tuned + "-- etc/tuned/vms/tuned.conf --\n[bootloader]\ncmdline_a=quiet hugepages=8\ncmdline_b=-hugepages=8\n", "", ""},
		"tuned does not run":         {"-- etc/tuned/active_profile --\nvms\n-- etc/tuned/vms/tuned.conf --\n[bootloader]\ncmdline=hugepages=8\n", "", ""},
		"sysctl sets it afterwards":  {grubDefaultsOf("hugepages=512") + grubCfg("hugepages=512") + "-- etc/sysctl.d/10-a.conf --\nvm.nr_hugepages=3\n", "/boot/grub/grub.cfg 512 2 MiB, 0 now", "/etc/sysctl.d/10-a.conf:1 3 2 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			h := host.Host{Root: hosttest.Unpack(t, "one-node", test.files)}
			coming, err := NextBoot(h)
			hosttest.Must(t, err)
			var got []string
			for _, c := range coming {
				line := fmt.Sprintf("%s %d %s, %d now", c.Where, c.Pages, c.Size, c.Now)
				if c.First != "" {
					line += "; first " + c.First
				}
				got = append(got, line)
			}
			if text := strings.Join(got, "\n"); text != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", text, test.want)
			}
			all, err := Reservations(h)
			hosttest.Must(t, err)
			got = nil
			for _, r := range all {
				got = append(got, fmt.Sprint(r.Where, " ", r.Pages, " ", r.Size))
			}
			if text := strings.Join(got, "\n"); text != test.reserves {
				t.Errorf("reserves:\n%s\nwant:\n%s", text, test.reserves)
			}
		})
	}
}

// vmhuge's setting of sysctl leaves pages there that the next boot's command line reserves.
func TestSysctlBesideTheNextBoot(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", grubDefaultsOf("hugepages=512")+grubCfg("hugepages=512"))}
	if got, err := sysctlPages(h, 1000, false); got != "vm.nr_hugepages = 1512" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

// A boot lacks none of the pages that the next one's command line reserves.
func TestLacksBesideTheNextBoot(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", grubDefaultsOf("hugepages=5120")+grubCfg("hugepages=5120"))}
	state, err := h.Pools()
	hosttest.Must(t, err)
	needs, _, err := Table{}.Lacks(h, state)
	if err != nil || needs != nil {
		t.Errorf("%v, %v", needs, err)
	}
}
