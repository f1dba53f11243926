package launcher

import (
	"errors"
	"testing"

	"libvirt.org/go/libvirt"

	"vmhuge/explain"
	"vmhuge/internal/advice"
)

// What start says and what explain says of the same error is the same.
func TestRefused(t *testing.T) {
	for _, test := range []struct {
		err  libvirt.Error
		id   string
		kind advice.Kind
	}{
		{libvirt.Error{Code: libvirt.ERR_INTERNAL_ERROR, Message: "qemu-system-x86_64: unable to map backing store for guest RAM: Cannot allocate memory"}, "pool-short", advice.NoMemory},
		{libvirt.Error{Code: libvirt.ERR_INTERNAL_ERROR, Message: "qemu-system-x86_64: qemu_prealloc_mem: preallocating memory failed: Bad address"}, "node-short", advice.NoMemory},
		{libvirt.Error{Code: libvirt.ERR_INTERNAL_ERROR, Message: "failed to resize memfd to 68157440: Invalid argument"}, "unaligned", advice.Failed},
		{libvirt.Error{Code: libvirt.ERR_NO_DOMAIN, Message: "?"}, "no-domain", advice.Failed},
		{libvirt.Error{Code: libvirt.ERR_HOOK_SCRIPT_FAILED, Message: "?"}, "hook-refused", advice.Failed},
		{libvirt.Error{Code: libvirt.ERR_AUTH_UNAVAILABLE, Message: "?"}, "no-permission", advice.Failed},
		{libvirt.Error{Code: libvirt.ERR_AUTH_CANCELLED, Message: "?"}, "no-permission", advice.Failed},
		{libvirt.Error{Code: libvirt.ERR_AUTH_FAILED, Message: "?"}, "no-permission", advice.Failed},
		{libvirt.Error{Code: libvirt.ERR_OPERATION_DENIED, Message: "?"}, "read-only-connection", advice.Failed},
		{libvirt.Error{Code: libvirt.ERR_ACCESS_DENIED, Message: "?"}, "read-only-connection", advice.Failed},
	} {
		matches := explain.Explain(test.err.Error())
		if len(matches) == 0 || matches[0].ID != test.id {
			t.Errorf("%v is explained as %+v", test.err, matches)
			continue
		}
		var told *advice.Error
		if err := refusedBy(test.err, "starting web1", explain.Names{Domain: "web1", Daemon: "virtqemud"}); !errors.As(err, &told) || told.Do != matches[0].Cure(explain.Names{Domain: "web1", Daemon: "virtqemud"}) || told.Kind != test.kind {
			t.Errorf("%v is refused with %+v", test.err, told)
		}
	}
	if err := refused(libvirt.Error{Code: libvirt.ERR_INTERNAL_ERROR, Message: "something else"}, "starting web1"); err.Error() != "starting web1: something else" {
		t.Error(err)
	}
}
