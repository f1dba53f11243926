package xml

import (
	"cmp"

	"vmhuge/internal/pages"
)

// A binding is where <numatune> wants memory; mode "": nowhere.
type binding struct {
	mode  pages.Mode
	nodes string // "" with auto
}

// A numatune is the binding of a domain, and those of single cells.
type numatune struct {
	binding
	auto  bool // numad chooses the nodes at start
	cells map[int]binding
}

func readNumatune(dom *domain) (numatune, error) {
	n := numatune{cells: map[int]binding{}}
	static := dom.VCPU == nil || dom.VCPU.Placement != "auto"
	tune := dom.NUMATune
	if tune == nil || tune.Memory == nil {
		if !static {
			n.mode, n.auto = pages.Strict, true
		}
	} else {
		n.mode = pages.Mode(cmp.Or(tune.Memory.Mode, string(pages.Strict)))
		n.auto = tune.Memory.Placement == "auto" || tune.Memory.Placement == "" && tune.Memory.Nodeset == "" && !static
		if !n.auto {
			var err error
			if n.nodes, err = nodes(tune.Memory.Nodeset); err != nil {
				return n, err
			}
		}
	}
	if tune == nil {
		return n, nil
	}
	for _, m := range tune.MemNodes {
		if n.auto {
			return n, broken("<memnode> does not go with automatic NUMA placement")
		}
		if m.CellID >= uint(len(dom.Cells)) {
			return n, broken("<memnode> names cell %d, which the guest does not have", m.CellID)
		}
		list, err := nodes(m.Nodeset)
		if err != nil {
			return n, err
		}
		n.cells[int(m.CellID)] = binding{pages.Mode(cmp.Or(m.Mode, string(pages.Strict))), list}
	}
	return n, nil
}

// of returns where the memory of a cell lies; own is the list of the memory
// device itself, for which <numatune> only gives the mode.
func (n numatune) of(cell int, own string) (binding, error) {
	b, ok := n.cells[cell]
	if !ok {
		b = n.binding
	}
	if own == "" {
		return b, nil
	}
	list, err := nodes(own)
	return binding{cmp.Or(b.mode, pages.Strict), list}, err
}

// bound tells whether libvirt gives QEMU host-nodes: mbind and its alignment.
func (b binding) bound() bool { return b.mode != "" && b.mode != pages.Restrictive }

func nodes(list string) (string, error) {
	set, err := parseNodeset(list)
	if err != nil {
		return "", err
	}
	return formatNodeset(set), nil
}
