package xml

import "vmhuge/internal/pages"

// Want is a Backing of which the user leaves something to vmhuge.
type Want struct {
	Backing
	Auto        bool // pages of 1 GiB where the host has them and the guest fits, which the caller knows
	AutoThreads bool
	CPUs        int // of the host, for AutoThreads; 0: not known
}

// Rewrite is Rewrite with what is wanted. Pages that are still Auto are of the usual size,
// and without a number of CPUs the threads are as many as QEMU ever uses.
func (want Want) Rewrite(doc []byte) ([]byte, error) {
	backing := want.Backing
	backing.Usual = backing.Usual || want.Auto
	out, err := Rewrite(doc, backing)
	if err != nil || !want.AutoThreads {
		return out, err
	}
	demand, err := Demand(out, 0)
	if err != nil {
		return nil, err
	}
	backing.Threads = demand.PreallocThreads(want.CPUs)
	return Rewrite(doc, backing)
}

// THPCosts says what the user may not expect of a document that is put on
// transparent huge pages.
func THPCosts(before, after []byte) []string {
	was, _ := Demand(before, 0)
	is, err := Demand(after, 0)
	switch {
	case err != nil || is.Backing != pages.THP:
		return nil
	case is.Shared:
		return []string{"its virtiofs or vhost-user devices or cells share its memory, which therefore stays shared; QEMU 7.2 aligns that to 4 KiB, so that it gets no transparent huge pages; vmhuge enable --size 2M --source memfd gives it reserved ones"}
	case was.Shared:
		return []string{"its memory was shared and is private now, as QEMU gets transparent huge pages for no other; no device in its XML needs it shared, but one that is added later may (virtiofs, vhost-user)"}
	}
	return nil
}
