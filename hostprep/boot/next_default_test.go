package boot

import (
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/pages"
)

// A default size that waits for the next boot, or leaves with it.
func TestNextDefault(t *testing.T) {
	const booted1G = "-- proc/cmdline --\nro default_hugepagesz=1G\n-- proc/meminfo --\nMemTotal: 16384000 kB\nMemFree: 11000000 kB\nMemAvailable: 12288000 kB\nHugepagesize: 1048576 kB\n" +
		"-- sys/kernel/mm/transparent_hugepage/hpage_pmd_size --\n2097152\n"
	const entries = "-- etc/default/grub --\nGRUB_ENABLE_BLSCFG=true\n-- boot/loader/entries/a-6.1.conf --\nlinux /vmlinuz\noptions ro"
	const profile = "-- etc/tuned/active_profile --\nvms\n-- usr/lib/systemd/system/multi-user.target.wants/tuned.service --\n[Service]\n-- etc/tuned/vms/tuned.conf --\n[bootloader]\ncmdline=default_hugepagesz=1G\n"
	for name, test := range map[string]struct{ files, want string }{
		"nothing":                  {"", ""},
		"as now":                   {grubDefaultsOf("default_hugepagesz=2M"), ""},
		"no grub.cfg":              {grubDefaultsOf("default_hugepagesz=1G"), "/etc/default/grub: 1 GiB"},
		"the menu is not made yet": {grubDefaultsOf("default_hugepagesz=1G") + grubCfg("quiet"), "/etc/default/grub: 1 GiB; first update-grub"},
		"the menu":                 {grubDefaultsOf("default_hugepagesz=1G") + grubCfg("default_hugepagesz=1G"), "/boot/grub/grub.cfg: 1 GiB"},
		"an entry":                 {entries + " default_hugepagesz=1G\n", "/boot/loader/entries/a-6.1.conf: 1 GiB"},
		"vmhuge's own":             {grubDefaultsOf("vmhuge.begin default_hugepagesz=1G vmhuge.end"), "/etc/default/grub: 1 GiB"},
		"no size of the kernel's":  {grubDefaultsOf("default_hugepagesz=3M"), ""},
		"tuned":                    {profile, "/etc/tuned/vms/tuned.conf:2: 1 GiB; first systemctl restart tuned"},
		"gone":                     {booted1G + grubDefaultsOf("quiet"), "/etc/default/grub: 2 MiB, gone"},
		"gone from an entry":       {booted1G + entries + "\n", "/boot/loader/entries/a-6.1.conf: 2 MiB, gone"},
		"in a variable":            {booted1G + entries + " $kernelopts\n-- boot/grub2/grubenv --\nkernelopts=ro default_hugepagesz=1G\n", ""},
		"booted, from tuned":       {booted1G + profile + grubDefaultsOf("quiet"), ""},
		"booted, from elsewhere":   {booted1G, ""},
	} {
		t.Run(name, func(t *testing.T) {
			next, err := NextDefault(host.Host{Root: hosttest.Unpack(t, "one-node", test.files)})
			hosttest.Must(t, err)
			got := ""
			if next != nil {
				got = next.Where + ": " + next.Size.String()
				if next.Gone {
					got += ", gone"
				}
				if next.First != "" {
					got += "; first " + next.First
				}
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Where the next boot has another default size, vmhuge writes no setting that counts pages
// of the default: with systemd its service adds them, without it the kernel's command line.
func TestTableBesideANewDefault(t *testing.T) {
	const systemd = "-- modes --\nrun/systemd/system/ 0755 0:0\n"
	const buddyinfo = "-- proc/buddyinfo --\nNode 0, zone Normal 7094 4810 4500 2061 942 321 236 204 81 178 711\n"
	table := Table{Pages: []Row{{Size: pages.Size2MiB, Pages: 2048}}}
	for files, want := range map[string]string{
		"":                                      "vm.nr_hugepages = 2048",
		grubDefaultsOf("default_hugepagesz=1G"): "hugepagesz=2M hugepages=2048",
		systemd + grubDefaultsOf("default_hugepagesz=1G"): "",
	} {
		settings, onCmdline, err := table.split(host.Host{Root: hosttest.Unpack(t, "one-node", files+buddyinfo)})
		hosttest.Must(t, err)
		if got := strings.Join(append(settings, options{pages: onCmdline}.words(nil)), ""); got != want {
			t.Errorf("%s: got %q, want %q", files, got, want)
		}
	}
}

// A count in a file of sysctl is one of pages of the next boot's default size.
func TestReservationsBesideANewDefault(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "one-node", grubDefaultsOf("default_hugepagesz=1G")+"-- etc/sysctl.d/10-a.conf --\nvm.nr_hugepages=3\n")}
	all, err := Reservations(h)
	if err != nil || len(all) != 1 || all[0].Size != pages.Size1GiB || all[0].Pages != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	others, err := OthersAtBoot(h)
	if err != nil || others[pages.Size1GiB] != 3 || others[pages.Size2MiB] != 0 {
		t.Errorf("%v, %v", others, err)
	}
}

// What needs a default size that stays is refused while another waits for the next boot, and
// a new default of vmhuge's own where others count pages of the default.
func TestRefusedBesideANewDefault(t *testing.T) {
	const buddyinfo = "-- proc/buddyinfo --\nNode 0, zone Normal 7094 4810 4500 2061 942 321 236 204 81 178 711\n"
	rows := []Row{{Size: pages.Size2MiB, Pages: 8}}
	for name, test := range map[string]struct {
		files, want string
		table       Table
	}{
		"overcommit":                  {grubDefaultsOf("default_hugepagesz=1G"), "/etc/default/grub makes 1 GiB the default size at the next boot", Table{Pages: rows, Overcommit: true}},
		"overcommit, as now":          {grubDefaultsOf("quiet"), "", Table{Pages: rows, Overcommit: true}},
		"another's count":             {"-- etc/sysctl.d/10-a.conf --\nvm.nr_hugepages=3\n", "/etc/sysctl.d/10-a.conf:1 says vm.nr_hugepages = 3, which would be 3 pages of 1 GiB after the next boot", Table{Pages: rows, DefaultSize: pages.Size1GiB}},
		"another's count, as now":     {"-- etc/sysctl.d/10-a.conf --\nvm.nr_hugepages=3\n", "", Table{Pages: rows, DefaultSize: pages.Size2MiB}},
		"another's count of no pages": {"-- etc/sysctl.d/10-a.conf --\nvm.nr_hugepages=0\n", "", Table{Pages: rows, DefaultSize: pages.Size1GiB}},
	} {
		t.Run(name, func(t *testing.T) {
			refused, err := test.table.refuseDefault(host.Host{Root: hosttest.Unpack(t, "one-node", test.files+buddyinfo)})
			hosttest.Must(t, err)
			got := ""
			if refused != nil {
				got = refused.Have
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// The kernel has no pages on a node without memory: none are asked for there.
func TestWordsBesideANodeWithoutMemory(t *testing.T) {
	const empty = "-- sys/devices/system/node/node1/meminfo --\nNode 1 MemTotal: 0 kB\n"
	const modern = "-- proc/sys/kernel/osrelease --\n6.8.0\n"
	rows := []PoolPages{{pages.Size1GiB, 2, 0}, {pages.Size1GiB, 4, -1}}
	for edit, want := range map[string]string{modern: "hugepagesz=1G hugepages=0:4,1:2", modern + empty: "hugepagesz=1G hugepages=0:6"} {
		findings, err := cmdlinePlan(host.Host{Root: hosttest.Unpack(t, "two-nodes", grubDefaultsOf("quiet")+edit)}, options{pages: rows})
		if err != nil || len(findings) != 1 || findings[0].Need != want {
			t.Errorf("%v, %+v, not %s", err, findings, want)
		}
	}
}
