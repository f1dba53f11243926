package launcher

import (
	"os"
	"slices"
	"testing"

	"vmhuge/internal/pages"
	vmxml "vmhuge/xml"
)

const marked = "<metadata><vmhuge:former xmlns:vmhuge='urn:vmhuge:1'><vmhuge:was at='hugepages'/></vmhuge:former></metadata>" +
	"<memoryBacking><hugepages/></memoryBacking>"

// TestEnabled finds what enable has changed by its note or by its copy, and nothing that
// was never its.
func TestEnabled(t *testing.T) {
	l := open(t)
	check := func(uuids, orphans []string) {
		t.Helper()
		gotUUIDs, gotOrphans, err := l.Enabled()
		must(t, err)
		if !slices.Equal(gotUUIDs, uuids) || !slices.Equal(gotOrphans, orphans) {
			t.Errorf("enabled %q, orphans %q; want %q, %q", gotUUIDs, gotOrphans, uuids, orphans)
		}
	}
	check(nil, nil)
	defer define(t, l, "theirs", uuid1, "<memoryBacking><hugepages/></memoryBacking>").Free()
	transient, err := l.conn.DomainCreateXML(document("gone", "e1e1e1e1-f6a4-8304-79aa-97f2502e193f", marked), 0)
	must(t, err)
	defer transient.Free()
	check(nil, nil) // a transient domain has no definition to restore

	define(t, l, "noted", uuid2, marked).Free()
	_, err = l.Enable("test", Want{Want: vmxml.Want{Backing: vmxml.Backing{PageSize: pages.Size2MiB}}})
	must(t, err)
	test := "7e577e57-f6a4-8304-79aa-97f2502e193f"
	check([]string{uuid2, test}, nil)

	copies, err := newCopies(l.host.Root)
	must(t, err)
	orphan := copies.path("f1f1f1f1-f6a4-8304-79aa-97f2502e193f")
	must(t, os.WriteFile(orphan, []byte("<domain/>"), 0o600))
	check([]string{uuid2, test}, []string{orphan})
	for _, uuid := range []string{uuid2, test} {
		_, err := l.Disable(uuid, false)
		must(t, err)
	}
	check(nil, []string{orphan})
}

// TestDisableTransient leaves a transient domain transient: to define it would keep it for
// good.
func TestDisableTransient(t *testing.T) {
	l := open(t)
	transient, err := l.conn.DomainCreateXML(document("gone", uuid1, marked), 0)
	must(t, err)
	defer transient.Free()
	_, err = l.Disable("gone", false)
	refusedWith(t, err, "disabling gone", "transient")
	if persistent, err := transient.IsPersistent(); err != nil || persistent {
		t.Errorf("it is persistent: %v, %v", persistent, err)
	}
}
