package launcher

import (
	"context"
	"os"

	"vmhuge/hostprep/ledger"
	"vmhuge/internal/pages"
)

// keepNow has the ledger keep the pages of a guest that runs or has ended as its definition
// now says, and returns how many KiB are freed for that, or in a dry run would be.
func (l *Launcher) keepNow(uuid string, keep pages.Keep, dryRun bool) (freedKiB int64, err error) {
	if os.Geteuid() != 0 || !l.qemu || l.remote || !ledger.HasClaim(l.host.Root, uuid) {
		return 0, nil
	}
	if dryRun {
		claims, err := ledger.ReadClaims(l.host.Root)
		for _, c := range claims {
			for _, g := range c.Grants {
				if c.UUID == uuid && c.Phase == ledger.Kept && keep == 0 {
					freedKiB += g.Pages * g.Size.KiB()
				}
			}
		}
		return freedKiB, err
	}
	book, err := ledger.Open(context.Background(), l.host.Root)
	if err != nil {
		return 0, err
	}
	defer l.closeLedger(book, uuid)
	given, err := book.KeepFor(uuid, keep)
	return given / pages.KiB, err
}

// keptFor is how many KiB of pages stay for a guest that has ended.
func (l *Launcher) keptFor(uuid string) (kib int64, err error) {
	reserved, err := ledger.ReadReservations(l.host.Root)
	for _, r := range reserved {
		if r.Kept && r.UUID == uuid {
			kib += r.Pages * r.Size.KiB()
		}
	}
	return kib, err
}
