package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/hook"
)

// TestEngines starts a guest as each of these engines writes it, in the way in which it does,
// on a host without free huge pages: the hook gets the pages, and frees them at the end.
// testdata/engines has what is relevant to memory of each document; docs/engines.md tells of them.
func TestEngines(t *testing.T) {
	for _, e := range []struct {
		file      string
		transient bool // by virDomainCreateXML, else defined and started
		enable    bool // the engine asks for no huge pages: vmhuge enable does, in its domain
		huge      bool
	}{
		{file: "opennebula", transient: true, huge: true},
		{file: "opennebula-raw", transient: true, huge: true},
		{file: "cloudstack", transient: true, huge: true},
		{file: "terraform", huge: true},
		{file: "vagrant-libvirt", huge: true},
		{file: "kcli", enable: true, huge: true},
		{file: "nomad-virt"},
	} {
		t.Run(e.file, func(t *testing.T) {
			hostAsBefore(t)
			setPages(t, 0, size2M, 0)
			installHook(t)
			text, err := os.ReadFile(filepath.Join("testdata", "engines", e.file+".xml"))
			if err != nil {
				t.Fatal(err)
			}
			// There is no KVM here, and no CPU of the host's without it.
			doc := strings.NewReplacer("type='kvm'", "type='qemu'", `type="kvm"`, `type="qemu"`, "/usr/bin/kvm", "/usr/bin/qemu-system-x86_64", "mode='host-model'", "").Replace(string(text))
			var dom *libvirt.Domain
			if e.transient {
				dom, err = libvirtd.conn.DomainCreateXML(doc, libvirt.DOMAIN_START_PAUSED)
			} else if dom, err = libvirtd.conn.DomainDefineXML(doc); err == nil {
				t.Cleanup(func() { undefine(t, dom) })
				if e.enable {
					done(t, "enable", nameOf(t, dom))
					defer done(t, "disable", nameOf(t, dom))
				}
				err = tryStartPaused(dom)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, doc)
			}
			defer func() { _ = dom.Destroy() }() // after a failure
			name, want, call := nameOf(t, dom), 0, hook.Passed
			if e.huge {
				want, call = 32, hook.Held
			}
			if got := pagesOf(t, pidOf(t, dom))[size2M]; got != want {
				t.Errorf("it runs on %d pages of 2 MiB, not %d", got, want)
			}
			if c := lastCall(t, name); c.Operation != "prepare" || c.Result != call {
				t.Errorf("the hook's log says %+v", c)
			}
			destroy(t, dom)
			wantClaims(t)
			if c := lastCall(t, name); e.huge && (c.Operation != "release" || c.Owed != 0) {
				t.Errorf("the hook's log says %+v", c)
			}
		})
	}
}
