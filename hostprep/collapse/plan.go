package collapse

// span is memory of QEMU, from one address to another.
type span struct{ start, end uint64 }

// ramRange is a part of the guest's RAM in one mapping of QEMU.
type ramRange struct {
	span
	mapped  uint64 // where its mapping begins
	offset  uint64 // and where in its file
	file    bool   // of a file or memfd
	hugetlb bool   // on pages of a pool
}

// plan is what to ask the kernel for.
type plan struct {
	blocks    []span // whole huge pages
	unaligned []span // what is outside of them
}

// newPlan divides RAM into blocks that can become huge pages of a size, and the rest. In a
// mapped file, address and file offset must agree modulo the huge page.
func newPlan(ram []ramRange, size uint64) plan {
	var p plan
	for _, r := range ram {
		if r.hugetlb {
			continue
		}
		first, last := (r.start+size-1)/size*size, r.end/size*size
		if last <= first || (r.file && (r.mapped-r.offset)%size != 0) {
			p.unaligned = append(p.unaligned, r.span)
			continue
		}
		for _, edge := range []span{{r.start, first}, {last, r.end}} {
			if edge.start < edge.end {
				p.unaligned = append(p.unaligned, edge)
			}
		}
		p.blocks = append(p.blocks, span{first, last})
	}
	return p
}

func kib(spans []span) (sum int64) {
	for _, s := range spans {
		sum += int64(s.end-s.start) / 1024
	}
	return sum
}

// cut cuts spans into slices of at most so many bytes.
func cut(spans []span, bytes uint64) (slices []span) {
	for _, s := range spans {
		for at := s.start; at < s.end; at += bytes {
			slices = append(slices, span{at, min(at+bytes, s.end)})
		}
	}
	return slices
}

// joined makes one span of blocks of a size that follow each other; they are in order.
func joined(blocks []uint64, size uint64) (spans []span) {
	for _, at := range blocks {
		if last := len(spans) - 1; last >= 0 && spans[last].end == at {
			spans[last].end += size
		} else {
			spans = append(spans, span{at, at + size})
		}
	}
	return spans
}
