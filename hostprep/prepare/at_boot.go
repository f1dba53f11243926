package prepare

import (
	"context"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/ledger"
	"vmhuge/hostprep/pool"
)

// AtBoot makes the folders of the table of boot, and adds the pages of it that sysctl and the
// kernel's command line have not reserved already. The ledger then counts all of them, so that
// undo frees them.
func AtBoot(ctx context.Context, h host.Host, book *ledger.Ledger) (changed []change.Change, findings []hostprep.Finding, err error) {
	table, err := boot.Read(h)
	if err != nil {
		return nil, nil, err
	}
	for _, folder := range table.Folders {
		c := change.Change{Kind: change.KindMkdir, Path: folder.Path, To: folder.State}
		if now, err := change.Look(h, change.KindMkdir, c.Path); err != nil || now != "" {
			continue // it exists, or its mount does not
		}
		if err := journal.Apply(h, c); err != nil {
			return changed, findings, err
		}
		changed = append(changed, c)
	}
	state, err := pool.Read(h.Root)
	if err != nil {
		return changed, findings, err
	}
	if len(book.Prepared()) > 0 {
		return changed, findings, nil // AtBoot or prepare has run since the host booted
	}
	for program, takes := range table.Reserved() {
		if err := book.Reserve(program, takes); err != nil {
			return changed, findings, err
		}
	}
	claims, err := ledger.ReadClaims(h.Root)
	if err != nil {
		return changed, findings, err
	}
	_, there, err := table.Lacks(h, ledger.WithoutGuests(state, claims))
	if err != nil {
		return changed, findings, err
	}
	// A table that was written since has made the kernel allocate nothing at boot: the pages
	// that are there are an administrator's. If the journal can't be read they may be.
	written, unread := journal.Journal{Host: h}.SinceBoot(boot.TableFile)
	if unread == nil && !written {
		if err := book.Adopt(there); err != nil {
			return changed, findings, err
		}
	}
	others := slices.DeleteFunc(claims, func(c ledger.Claim) bool {
		return slices.ContainsFunc(table.Pages, func(row boot.Row) bool { return row.UUID == c.UUID })
	})
	needs, _, err := table.Lacks(h, ledger.WithoutGuests(state, others))
	if err != nil {
		return changed, findings, err
	}
	for _, need := range needs {
		more, refusal, err := growPrepared(ctx, h, book, need, 0, pool.Effort{})
		changed = append(changed, more...)
		if err != nil {
			return changed, findings, err
		}
		if refusal != nil {
			findings = append(findings, *refusal)
		}
	}
	return changed, findings, unread
}
