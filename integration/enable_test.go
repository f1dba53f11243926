package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"libvirt.org/go/libvirt"

	"vmhuge/internal/versions"
)

func TestEnableLosesNothing(t *testing.T) {
	hostAsBefore(t)
	dom := define(t, guest{
		more: `<title>a &lt;title&gt;</title><metadata><a:x xmlns:a="urn:a"><!-- kept --><memoryBacking><hugepages/></memoryBacking></a:x></metadata>` +
			`<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:env name='A' value="it's &amp; that"/></qemu:commandline>`,
		devices: "<graphics type='vnc' port='-1' passwd='secret12'/>",
		backing: "<nosharepages/><access mode='shared'/>",
	})
	domain, before := nameOf(t, dom), definition(t, dom)

	dry := done(t, "enable", domain, "--dry-run")
	if definition(t, dom) != before || !strings.Contains(dry.Stdout, "+    <hugepages>") {
		t.Errorf("enable --dry-run: %s", dry.Stdout)
	}
	out := done(t, "enable", domain)
	if strings.Contains(out.Stdout+out.Stderr, "secret12") {
		t.Errorf("enable shows the VNC password: %s", out.Stdout)
	}
	uuid, err := dom.GetUUIDString()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("/var/lib/vmhuge/domains", uuid+".xml")
	if text, err := os.ReadFile(path); err != nil || string(text) != before {
		t.Errorf("the copy: %v\n%s", err, text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy, which holds passwords: %v, %v", info.Mode(), err)
	}
	const pages = "    <hugepages>\n      <page size='2048' unit='KiB'/>\n    </hugepages>\n"
	const mark = "    <vmhuge:former xmlns:vmhuge=\"urn:vmhuge:1\">\n      <vmhuge:was at=\"hugepages\"/>\n    </vmhuge:former>\n"
	if diff := cmp.Diff(before, strings.NewReplacer(pages, "", mark, "").Replace(definition(t, dom))); diff != "" {
		t.Errorf("enable changed more than was ours (-before +after):\n%s", diff)
	}
	enabled := definition(t, dom)
	if r := done(t, "enable", domain); !strings.Contains(r.Stdout, "nothing to do") || definition(t, dom) != enabled {
		t.Errorf("a second enable: %s", r.Stdout)
	}
	more := []string{"enable", domain, "--size", "1G", "--source", "memfd", "--round", "--threads", "auto"}
	if !here(t, versions.Threads) {
		refused(t, 1, []string{"does not keep the number of threads", "leave out --threads"}, more...)
		more = more[:len(more)-2]
	}
	done(t, more...)
	done(t, "disable", domain)
	if diff := cmp.Diff(before, definition(t, dom)); diff != "" {
		t.Errorf("disable (-before +after):\n%s", diff)
	}
	if r := done(t, "disable", domain); !strings.Contains(r.Stdout, "nothing to do") {
		t.Errorf("a second disable: %s", r.Stdout)
	}
}

// TestDisableAfterFilter takes back what the filter wrote into an XML by hand,
// in units that libvirt does not keep.
func TestDisableAfterFilter(t *testing.T) {
	hostAsBefore(t)
	g := guest{name: domainName(t), memory: "<memory unit='MiB'>63</memory>"}
	path := filepath.Join(t.TempDir(), "g.xml")
	if err := os.WriteFile(path, []byte(g.xml()), 0o600); err != nil {
		t.Fatal(err)
	}
	dom, err := libvirtd.conn.DomainDefineXML(done(t, "xml", "enable", "--round", path).Stdout)
	if err != nil {
		t.Fatal(err)
	}
	defer undefine(t, dom)
	if !strings.Contains(definition(t, dom), "<memory unit='KiB'>65536</memory>") {
		t.Errorf("not rounded:\n%s", definition(t, dom))
	}
	done(t, "disable", g.name)
	for _, text := range []string{"<memory unit='KiB'>64512</memory>", "<currentMemory unit='KiB'>64512</currentMemory>"} {
		if after := definition(t, dom); !strings.Contains(after, text) || strings.Contains(after, "<hugepages") {
			t.Errorf("disable did not bring back %s:\n%s", text, after)
		}
	}
}

func TestUsersOwnHugepagesStay(t *testing.T) {
	hostAsBefore(t)
	dom := define(t, guest{backing: "<hugepages/>"})
	domain, before := nameOf(t, dom), definition(t, dom)
	done(t, "disable", domain)
	if diff := cmp.Diff(before, definition(t, dom)); diff != "" {
		t.Errorf("disable took the user's own (-before +after):\n%s", diff)
	}
	done(t, "enable", domain)
	if !strings.Contains(definition(t, dom), "<page size='2048' unit='KiB'/>") {
		t.Errorf("enable left the size open:\n%s", definition(t, dom))
	}
	done(t, "disable", domain)
	if diff := cmp.Diff(before, definition(t, dom)); diff != "" {
		t.Errorf("disable after enable (-before +after):\n%s", diff)
	}
}

func TestEnableRefuses(t *testing.T) {
	hostAsBefore(t)
	for name, row := range map[string]struct {
		guest guest
		words []string
	}{
		"anonymous": {guest{backing: "<source type='anonymous'/>"}, []string{"anonymous", "--source"}},
		"ondemand":  {guest{backing: "<allocation mode='ondemand'/>"}, []string{"ondemand"}},
		"unaligned": {guest{memory: "<memory unit='MiB'>65</memory>"}, []string{"--round"}},
	} {
		t.Run(name, func(t *testing.T) {
			dom := define(t, row.guest)
			before := definition(t, dom)
			refused(t, 1, row.words, "enable", nameOf(t, dom))
			if diff := cmp.Diff(before, definition(t, dom)); diff != "" {
				t.Errorf("the XML changed: %s", diff)
			}
		})
	}
	refused(t, 1, []string{"no such domain"}, "enable", "no-such-domain")
}

// TestEnableInVain holds enable to say when its change does not count yet.
func TestEnableInVain(t *testing.T) {
	t.Run("running", func(t *testing.T) {
		hostAsBefore(t)
		dom := define(t, guest{})
		startPaused(t, dom)
		if r := done(t, "enable", nameOf(t, dom)); !strings.Contains(r.Stderr, "next cold start") {
			t.Errorf("enable of a running guest: %s", r.Stderr)
		}
		done(t, "disable", nameOf(t, dom))
	})
	t.Run("managed-save", func(t *testing.T) {
		hostAsBefore(t)
		dom := define(t, guest{})
		startPaused(t, dom)
		if err := dom.ManagedSave(0); err != nil {
			t.Fatal(err)
		}
		if r := done(t, "enable", nameOf(t, dom)); !strings.Contains(r.Stderr, "saved state") {
			t.Errorf("enable of a saved guest: %s", r.Stderr)
		}
		done(t, "disable", nameOf(t, dom))
	})
	t.Run("transient", func(t *testing.T) {
		hostAsBefore(t)
		dom, err := libvirtd.conn.DomainCreateXML(guest{name: "vmhuge-transient"}.xml(), libvirt.DOMAIN_START_PAUSED)
		if err != nil {
			t.Fatal(err)
		}
		defer destroy(t, dom)
		refused(t, 1, []string{"transient"}, "enable", "vmhuge-transient")
	})
}

// TestOddNames holds every command to take a name for a name: never for a
// flag, a path or a word of a shell.
func TestOddNames(t *testing.T) {
	for _, name := range sampled(t, []string{"-x", "--json", "a b", "ü", "$(touch oops)", "%s%n", "a'b\"c", "7", "*"}) {
		t.Run(name, func(t *testing.T) {
			hostAsBefore(t)
			setPages(t, 0, size2M, 0)
			dom, err := libvirtd.conn.DomainDefineXML(guest{name: name}.xml())
			if err != nil {
				t.Fatal(err)
			}
			defer dom.Free()
			defer func() {
				if err := dom.Undefine(); err != nil {
					t.Error(err)
				}
			}()
			before := definition(t, dom)
			for _, args := range [][]string{
				{"enable", "--", name}, {"check", "--verbose", "--", name}, {"start", "--paused", "--", name},
				{"verify", "--", name}, {"status", "--", name}, {"stop", "--force", "--timeout", "0s", "--", name}, {"disable", "--", name},
			} {
				want := 0
				if args[0] == "check" {
					want = 4
				}
				if r := vmhuge(t, args...); r.Code != want {
					t.Errorf("vmhuge %q: %+v", args, r)
				}
			}
			if diff := cmp.Diff(before, definition(t, dom)); diff != "" {
				t.Errorf("the XML (-before +after):\n%s", diff)
			}
		})
	}
	for _, name := range []string{"../../etc/x", "a\nb", "\x1b[31m"} {
		refused(t, 1, []string{"no such domain"}, "enable", "--", name)
		refused(t, 1, []string{"no such domain"}, "start", "--", name)
	}
}
