package libvirtd

import (
	"strings"
	"testing"

	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/internal/hostfs"
)

func TestLocate(t *testing.T) {
	usual := hostfs.UsualLibvirt
	nix, prefix := usual, hostfs.Libvirt{Etc: "/opt/libvirt/etc", Var: "/opt/libvirt/var", Run: "/opt/libvirt/run"}
	nix.Etc = "/var/lib"
	const (
		ended   = "-- opt/libvirt/run/libvirt/qemu/driver.pid --\n"
		linked  = "-- proc/self/maps --\n7f0a4c200000-7f0a4c2a1000 r--p 00000000 fe:01 1443   /opt/libvirt/lib/libvirt.so.0.11003.0\n"
		setting = "-- etc/vmhuge/libvirt.json --\n"
		plain   = "-- etc/libvirt/qemu.conf --\n#\n"
		updated = "-- proc/500/maps --\n7f0a4c200000-7f0a4c2a1000 r--p 00000000 fe:01 1443   /opt/libvirt/lib/libvirt.so.0.11003.0 (deleted)\n"
	)
	evil := strings.NewReplacer("/opt/libvirt/run/", "/home/alice/", "opt/libvirt/run/", "home/alice/").Replace(hosttest.PrefixSockets)
	for name, test := range map[string]struct {
		edits []string
		want  hostfs.Libvirt
		fails string
	}{
		"a distribution's":                        {[]string{plain}, usual, ""},
		"a distribution's, linked with another's": {[]string{plain, linked, hosttest.PrefixLibrary}, usual, ""},
		"NixOS":                                    {[]string{hosttest.Nix}, nix, ""},
		"in a prefix":                              {[]string{hosttest.Prefix}, prefix, ""},
		"in a prefix, since updated":               {[]string{hosttest.Prefix, updated}, prefix, ""},
		"in a prefix, on demand":                   {[]string{hosttest.Prefix, ended, linked}, prefix, ""},
		"in a prefix, on demand, not linked":       {[]string{hosttest.Prefix, ended}, hostfs.Libvirt{Etc: "/etc", Var: "/var", Run: prefix.Run}, ""},
		"no daemon, no socket, linked":             {[]string{linked, hosttest.PrefixLibrary, "-- run/libvirt/qemu/driver.pid --\n"}, prefix, ""},
		"a socket in a user's folder":              {[]string{plain, evil, "-- run/libvirt/qemu/driver.pid --\n-- modes --\nhome/alice/ 0755 1000:1000\n"}, usual, ""},
		"a socket in a folder for all":             {[]string{plain, evil, "-- run/libvirt/qemu/driver.pid --\n-- modes --\nhome/alice/ 1777 0:0\n"}, usual, ""},
		"the setting before the daemon":            {[]string{hosttest.Prefix, setting + `{"sysconfdir":"/srv/etc"}`}, hostfs.Libvirt{Etc: "/srv/etc", Var: "/var", Run: "/run"}, ""},
		"a setting that is none":                   {[]string{hosttest.Prefix, setting + "{"}, usual, "/etc/vmhuge/libvirt.json: unexpected EOF"},
		"a setting of another name":                {[]string{setting + `{"prefix":"/opt"}`}, usual, `/etc/vmhuge/libvirt.json: json: unknown field "prefix"`},
		"a setting that is no whole path":          {[]string{setting + `{"sysconfdir":"etc"}`}, usual, `/etc/vmhuge/libvirt.json: "etc" is not the whole path of a directory`},
		"a setting that is not as short as can be": {[]string{setting + `{"runstatedir":"/run/"}`}, usual, `/etc/vmhuge/libvirt.json: "/run/" is not the whole path of a directory`},
	} {
		t.Run(name, func(t *testing.T) {
			h := host.Host{Root: hosttest.Unpack(t, "one-node", strings.Join(test.edits, ""))}
			fails := ""
			if err := Locate(h); err != nil {
				fails = err.Error()
			}
			if got := h.Root.Libvirt(); got != test.want || fails != test.fails {
				t.Errorf("%+v, %q", got, fails)
			}
		})
	}
}

// Everything that is asked of libvirt's files goes to those that the daemon has.
func TestElsewhere(t *testing.T) {
	for _, test := range []struct{ name, edit, conf, user, daemon string }{
		{"NixOS", hosttest.Nix, "/var/lib/libvirt/qemu.conf", "root", "libvirtd"},
		{"in a prefix", hosttest.Prefix, "/opt/libvirt/etc/libvirt/qemu.conf", "alice", "virtqemud"},
	} {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", test.edit)}
		hosttest.Must(t, Locate(h))
		conf, err := ReadQEMUConf(h, "")
		hosttest.Must(t, err)
		user, err := QEMUUser(h, conf)
		if err != nil || user.Name != test.user || QEMUConfPath(h) != test.conf || Name(h) != test.daemon {
			t.Errorf("%s: %s, %s, %s, %v", test.name, user.Name, QEMUConfPath(h), Name(h), err)
		}
		if d, err := ReadDaemon(h); err != nil || d == nil || d.PID != 500 {
			t.Errorf("%s: its daemon is %v, %v", test.name, d, err)
		}
	}
}

func TestLocateIn(t *testing.T) {
	const gone = "-- opt/libvirt/lib/libvirt.so.0 --\n"
	for _, test := range []struct{ name, edit, fails string }{
		{"a prefix", "", ""},
		{"Debian's folder of libraries", gone + strings.ReplaceAll(hosttest.PrefixLibrary, "/lib/libvirt.so.0 ", "/lib/x86_64-linux-gnu/libvirt.so.0 "), ""},
		{"no libvirt", gone, "there is no lib/libvirt.so.0 in it"},
		{"that a user can change", "-- modes --\nopt/libvirt/lib/ 0755 1000:1000\n", "users other than root could change /opt/libvirt/lib/libvirt.so.0"},
		{"that says nothing", gone + "\x7fELF\n", "/opt/libvirt/lib/libvirt.so.0 does not say it"},
	} {
		h := host.Host{Root: hosttest.Unpack(t, "one-node", hosttest.PrefixLibrary+test.edit)}
		err := LocateIn(h, "/opt/libvirt")
		if test.fails == "" && (err != nil || h.Root.Libvirt().ConfDir() != "/opt/libvirt/etc/libvirt") ||
			test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails) || h.Root.Libvirt() != hostfs.UsualLibvirt) {
			t.Errorf("%s: %v, %v", test.name, err, h.Root.Libvirt())
		}
	}
}
