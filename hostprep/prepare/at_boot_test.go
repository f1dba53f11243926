package prepare

import (
	"testing"

	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/ledger"
)

// The pages of which sysctl's file or the kernel's command line made the table's at boot
// are freed by undo. Those that were there when the table was written are not.
func TestAtBootAdopts(t *testing.T) {
	for name, rebooted := range map[string]bool{"at the next boot": true, "in the boot of prepare": false} {
		t.Run(name, func(t *testing.T) {
			h, had := unusedPool(t, systemdHost+booted)
			persist(t, h, had)
			want := had
			if rebooted {
				hosttest.WriteFile(t, h.Root.Path("proc/sys/kernel/random/boot_id"), "rebooted\n")
				want = 0
			}
			book := openLedger(t, h)
			defer book.Close()
			_, findings, err := AtBoot(t.Context(), h, book)
			if err != nil || len(findings) > 0 || persistentPages(t, h) != had {
				t.Errorf("%v, %v: %d pages, not %d", err, findings, persistentPages(t, h), had)
			}
			release(t, h, book, ledger.PreparedUUID)
			if n := persistentPages(t, h); n != want {
				t.Errorf("undo leaves %d of %d pages, not %d", n, had, want)
			}
		})
	}
}

// A service that is started beside a guest takes none of the guest's pages for the table's:
// they would be freed twice, and go with the guest.
func TestAtBootBesideAGuest(t *testing.T) {
	h, had := unusedPool(t, systemdHost+booted)
	persist(t, h, had+8)
	hosttest.WriteFile(t, h.Root.Path("proc/sys/kernel/random/boot_id"), "rebooted\n")
	book := openLedger(t, h)
	defer book.Close()
	growFor(t, book, web1.Demand.UUID, 16)
	_, findings, err := AtBoot(t.Context(), h, book)
	if n := persistentPages(t, h); err != nil || len(findings) > 0 || n != had+8+16 {
		t.Errorf("%v, %v: %d pages, not %d", err, findings, n, had+8+16)
	}
	release(t, h, book, web1.Demand.UUID)
	if n := persistentPages(t, h); n != had+8 {
		t.Errorf("the guest leaves %d pages, not %d", n, had+8)
	}
	release(t, h, book, ledger.PreparedUUID)
	if n := persistentPages(t, h); n != 0 {
		t.Errorf("undo leaves %d pages that the table made at boot", n)
	}
}

// What was added for a guest of the table is the guest's row.
func TestAtBootBesideAGuestOfTheTable(t *testing.T) {
	h, _ := unusedPool(t, systemdHost+booted+"-- etc/vmhuge/boot.json --\n"+
		`{"version":1,"pages":[{"uuid":"`+web1.Demand.UUID+`","name":"web1","page_size_kib":2048,"pages":16}]}`+"\n")
	hosttest.Must(t, h.Root.WriteInt(0, "sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"))
	setFree(t, h)
	book := openLedger(t, h)
	defer book.Close()
	growFor(t, book, web1.Demand.UUID, 16)
	_, _, err := AtBoot(t.Context(), h, book)
	if n := persistentPages(t, h); err != nil || n != 16 || len(book.Prepared()) > 0 {
		t.Errorf("%v: %d pages, prepared %v", err, n, book.Prepared())
	}
}
