package boot

import (
	"fmt"
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
)

// What reserves pages at boot is found wherever administrators put it, with its line.
func TestReservations(t *testing.T) {
	for name, test := range map[string]struct{ files, want string }{
		"nothing":      {"-- etc/sysctl.conf --\nvm.swappiness=1\n-- etc/rc.local --\n#!/bin/sh\ncat /proc/sys/vm/nr_hugepages\nexit 0\n", ""},
		"command line": {"-- proc/cmdline --\nro hugepages=64 hugepagesz=1G hugepages=2 vmhuge.begin hugepagesz=1G hugepages=4 vmhuge.end\n", "the kernel's command line 64 2 MiB\nthe kernel's command line 2 1 GiB"},
		"sysctl counts after it": {"-- proc/cmdline --\nhugepages=64\n-- etc/sysctl.conf --\n\nvm.nr_hugepages = 128\n-- etc/sysctl.d/10-a.conf --\nvm.nr_hugepages=1\n-- etc/sysctl.d/99-vmhuge.conf --\nvm.nr_hugepages=999\n",
			"/etc/sysctl.conf:2 128 2 MiB"},
		"sysctl in hexadecimal":      {"-- etc/sysctl.conf --\nvm.nr_hugepages=0x10\n", "/etc/sysctl.conf:1 16 2 MiB"},
		"sysctl by memory policy":    {"-- etc/sysctl.d/10-a.conf --\nvm.nr_hugepages = 8\n-- etc/sysctl.d/20-b.conf --\nvm.nr_hugepages_mempolicy=100\n-- etc/rc.local --\n[ -e /x ] && echo 5 > /proc/sys/vm/nr_hugepages_mempolicy\n-- modes --\netc/rc.local 0755 0:0\n", "/etc/sysctl.d/20-b.conf:1 100 2 MiB\n/etc/rc.local:1 5 2 MiB"},
		"rc.local has the last word": {"-- etc/sysctl.d/20-b.conf --\nvm.nr_hugepages=100\n-- etc/rc.local --\necho 5 > /proc/sys/vm/nr_hugepages_mempolicy\n-- modes --\netc/rc.local 0755 0:0\n", "/etc/rc.local:1 5 2 MiB"},
		"tuned's profile": {"-- etc/tuned/active_profile --\nweb\n-- etc/systemd/system/multi-user.target.wants/tuned.service --\n[Service]\n-- etc/tuned/web/tuned.conf --\n[main]\ninclude=base\n[sysctl]\nvm.nr_hugepages=500 # ours\nvm.nr_overcommit_hugepages=${n}\n-- usr/lib/tuned/base/tuned.conf --\n[vm]\nnr_hugepages=7\n[sysctl]\nvm.nr_hugepages = 9\n",
			"/etc/tuned/web/tuned.conf:4 500 2 MiB"},
		"of one that is included": {"-- etc/tuned/active_profile --\nweb\n-- etc/systemd/system/multi-user.target.wants/tuned.service --\n[Service]\n-- etc/tuned/web/tuned.conf --\n[main]\ninclude=base\n[sysctl]\nvm.nr_overcommit_hugepages=${n}\n-- usr/lib/tuned/base/tuned.conf --\n[vm]\nnr_hugepages=7\n[sysctl]\nvm.nr_hugepages = 9\n",
			"/usr/lib/tuned/base/tuned.conf:4 9 2 MiB"},
		"that does not run": {"-- etc/tuned/web/tuned.conf --\n[main]\ninclude=base\n[sysctl]\nvm.nr_hugepages=500 # ours\nvm.nr_overcommit_hugepages=${n}\n-- usr/lib/tuned/base/tuned.conf --\n[vm]\nnr_hugepages=7\n[sysctl]\nvm.nr_hugepages = 9\n-- etc/tuned/active_profile --\nweb\n",
			""},
		"tuned makes sysctl's settings again": {"-- etc/tuned/active_profile --\nweb\n-- etc/systemd/system/multi-user.target.wants/tuned.service --\n[Service]\n-- etc/tuned/web/tuned.conf --\n[main]\ninclude=base\n[sysctl]\nvm.nr_hugepages=500 # ours\nvm.nr_overcommit_hugepages=${n}\n-- usr/lib/tuned/base/tuned.conf --\n[vm]\nnr_hugepages=7\n[sysctl]\nvm.nr_hugepages = 9\n-- etc/sysctl.d/10-a.conf --\nvm.nr_hugepages=3\n-- usr/lib/sysctl.d/20-b.conf --\nvm.nr_hugepages=4\n",
			"/etc/sysctl.d/10-a.conf:1 3 2 MiB"},
		"but not those of packages": {"-- etc/tuned/active_profile --\nweb\n-- etc/systemd/system/multi-user.target.wants/tuned.service --\n[Service]\n-- etc/tuned/web/tuned.conf --\n[main]\ninclude=base\n[sysctl]\nvm.nr_hugepages=500 # ours\nvm.nr_overcommit_hugepages=${n}\n-- usr/lib/tuned/base/tuned.conf --\n[vm]\nnr_hugepages=7\n[sysctl]\nvm.nr_hugepages = 9\n-- usr/lib/sysctl.d/20-b.conf --\nvm.nr_hugepages=4\n",
			"/etc/tuned/web/tuned.conf:4 500 2 MiB"},
		"tuned has the last word": {"-- etc/tuned/active_profile --\nweb\n-- etc/systemd/system/multi-user.target.wants/tuned.service --\n[Service]\n-- etc/tuned/web/tuned.conf --\n[main]\ninclude=base\n[sysctl]\nvm.nr_hugepages=500 # ours\nvm.nr_overcommit_hugepages=${n}\n-- usr/lib/tuned/base/tuned.conf --\n[vm]\nnr_hugepages=7\n[sysctl]\nvm.nr_hugepages = 9\n-- etc/tuned/tuned-main.conf --\nreapply_sysctl = 0\n-- etc/sysctl.d/10-a.conf --\nvm.nr_hugepages=3\n",
			"/etc/tuned/web/tuned.conf:4 500 2 MiB"},
		"a pattern": {"-- etc/sysctl.d/10-a.conf --\nvm/nr_huge* = 4096\n",
			"/etc/sysctl.d/10-a.conf:1 4096 2 MiB"},
		"a pattern beside the names": {"-- etc/sysctl.d/10-a.conf --\nvm.nr_hugepages=3\n-vm.nr_hugepages_mempolicy\n-- etc/sysctl.d/20-b.conf --\nvm.nr_huge* = 4096\n",
			"/etc/sysctl.d/10-a.conf:1 3 2 MiB"},
		"a pattern for all of vm": {"-- etc/sysctl.d/10-a.conf --\nvm.* = 7\n",
			"/etc/sysctl.d/10-a.conf:1 7 2 MiB"},
		"sysctl refuses the last":       {"-- etc/sysctl.conf --\nvm.nr_hugepages=16\nvm.nr_hugepages=8G\n", "/etc/sysctl.conf:1 16 2 MiB"},
		"rc.local that nobody runs":     {"-- etc/rc.local --\n#!/bin/sh\necho 5 > /proc/sys/vm/nr_hugepages\n", ""},
		"a setting on the command line": {"-- proc/cmdline --\nhugepages=64 sysctl.vm.nr_hugepages=512 hugepagesz=1G hugepages=2 sysctl.vm/nr_hugepages=256\n", "the kernel's command line 2 1 GiB\nthe kernel's command line 256 2 MiB"},
		"that is taken away":            {"-- proc/cmdline --\nhugepages=64 sysctl.vm.nr_hugepages=0\n", ""},
		"of another default size":       {"-- proc/cmdline --\ndefault_hugepagesz=1G\n-- etc/sysctl.d/10-a.conf --\nvm.nr_hugepages = 3\n", "/etc/sysctl.d/10-a.conf:1 3 1 GiB"},
		"a later file takes them away":  {"-- etc/sysctl.d/zz.conf --\nvm.nr_hugepages=0\n", "/etc/sysctl.d/zz.conf:1 0 2 MiB"},
		"sysctl takes them away":        {"-- proc/cmdline --\nhugepages=64\n-- etc/sysctl.conf --\nvm.nr_hugepages=0\n", "/etc/sysctl.conf:1 0 2 MiB"},
		"a package's unit": {"-- usr/lib/systemd/system/huge.service --\n[Service]\nExecStart=/bin/sh -c 'echo 7 > /proc/sys/vm/nr_hugepages'\n-- usr/lib/systemd/system/sysinit.target.wants/huge.service --\n[Service]\n",
			"/usr/lib/systemd/system/huge.service:2 7 2 MiB"},
		"a unit of a generator": {"-- run/systemd/generator/huge.service --\n[Service]\nExecStart=/bin/sh -c 'echo 7 > /proc/sys/vm/nr_hugepages'\n-- run/systemd/generator/local-fs.target.requires/huge.service --\n[Service]\n",
			"/run/systemd/generator/huge.service:2 7 2 MiB"},
		"the administrator's counts": {"-- usr/lib/systemd/system/huge.service --\n[Service]\nExecStart=/bin/sh -c 'echo 7 > /proc/sys/vm/nr_hugepages'\n-- etc/systemd/system/huge.service --\n[Service]\nExecStart=/bin/sh -c 'echo 9 > /proc/sys/vm/nr_hugepages'\n-- run/systemd/system/basic.target.wants/huge.service --\n[Service]\n",
			"/etc/systemd/system/huge.service:2 9 2 MiB"},
		"an instance and a drop-in": {"-- etc/systemd/system/huge@.service --\n[Service]\nExecStart=/bin/sh -c 'echo 7 > /proc/sys/vm/nr_hugepages'\n-- etc/systemd/system/multi-user.target.wants/huge@0.service --\n[Service]\n-- run/systemd/system/db.service.d/huge.conf --\n[Service]\nExecStartPre=/bin/sh -c 'echo 5 > /proc/sys/vm/nr_hugepages'\n-- usr/lib/systemd/system/multi-user.target.wants/db.service --\n[Service]\n-- usr/lib/systemd/system/db.service --\n[Service]\nExecStart=/usr/bin/db\n",
			"/etc/systemd/system/huge@.service:2 7 2 MiB\n/run/systemd/system/db.service.d/huge.conf:2 5 2 MiB"},
		"a unit called like sysctl, and rc.local": {"-- usr/lib/systemd/system/sysctl-huge.service --\n[Service]\nExecStart=/bin/sh -c 'echo 7 > /proc/sys/vm/nr_hugepages'\n-- etc/systemd/system/multi-user.target.wants/sysctl-huge.service --\n[Service]\n-- etc/rc.local --\necho 5 > /proc/sys/vm/nr_hugepages\n-- modes --\netc/rc.local 0755 0:0\n",
			"/etc/rc.local:1 5 2 MiB\n/usr/lib/systemd/system/sysctl-huge.service:2 7 2 MiB"},
		"no boot starts it":     {"-- usr/lib/systemd/system/huge.service --\n[Service]\nExecStart=/bin/sh -c 'echo 7 > /proc/sys/vm/nr_hugepages'\n-- usr/lib/systemd/system/rescue.target.wants/huge.service --\n[Service]\n", ""},
		"tmpfiles of a package": {"-- usr/lib/tmpfiles.d/huge.conf --\nw /proc/sys/vm/nr_hugepages - - - - 8\n-- usr/lib/tmpfiles.d/more.conf --\nw /proc/sys/vm/nr_hugepages - - - - 3\n-- etc/tmpfiles.d/huge.conf --\n# nothing\n", "/usr/lib/tmpfiles.d/more.conf:1 3 2 MiB"},
		"units and scripts": {"-- etc/systemd/system/huge.service --\n[Service]\nExecStart=/bin/sh -c \"echo 512 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages\"\nExecStop=/bin/sh -c 'echo 0 > /proc/sys/vm/nr_hugepages'\n" +
			"-- etc/systemd/system/other.service --\n[Service]\nExecStart=/usr/local/sbin/huge $N\n" +
			"-- etc/systemd/system/idle.service --\n[Service]\nExecStart=/bin/sh -c 'echo 99 > /proc/sys/vm/nr_hugepages'\n-- etc/systemd/system/multi-user.target.wants/huge.service --\n[Service]\n-- modes --\netc/rc.local 0755 0:0\n" +
			"-- etc/tmpfiles.d/huge.conf --\nw /sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages - - - - 8\n" +
			"-- etc/rc.local --\n#!/bin/sh\n# echo 5 > /proc/sys/vm/nr_hugepages\nsysctl -w vm.nr_hugepages=256\necho $N > /proc/sys/vm/nr_hugepages\n",
			"/etc/rc.local:3 256 2 MiB\n/etc/rc.local:4 -1 2 MiB\n/etc/systemd/system/huge.service:2 512 2 MiB\n/etc/tmpfiles.d/huge.conf:1 8 1 GiB"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := Reservations(host.Host{Root: hosttest.Unpack(t, "one-node", test.files)})
			var got []string
			for _, r := range all {
				got = append(got, fmt.Sprint(r.Where, " ", r.Pages, " ", r.Size))
			}
			if text := strings.Join(got, "\n"); err != nil || text != test.want {
				t.Errorf("got:\n%s\n%v\nwant:\n%s", text, err, test.want)
			}
		})
	}
}
