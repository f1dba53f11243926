package qemu

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"vmhuge/internal/pages"
)

// backend counts a memory backend of the user's, and puts it on huge pages
// where the user did not say what backs it: memory-backend-ram is memory of
// no particular kind, and a memfd without hugetlb= is memory to share. A file
// is at a place that somebody else may know, and stays there.
//
// What a device other than a DIMM uses is no RAM, or is not there yet, and
// stays as it is.
func (r *reader) backend(b *backend) error {
	bytes, err := parseSize(b.get("size"), 1)
	if err != nil {
		return fmt.Errorf("memory backend %q: %w", b.id, err)
	}
	driver, isDevice := r.devices[b.id]
	dimm := driver == "pc-dimm"
	cell, isCell := r.cells[b.id]
	ram := isCell || dimm || b.id == r.whole
	if ram || !isDevice {
		r.cmd.RAMKiB += bytes / pages.KiB
	}
	change := !isDevice || dimm
	size := pages.Size(0)
	hugetlb, said := b.on("hugetlb")
	switch b.kind {
	case "file":
		size, err = r.PageSizeAt(b.get("mem-path"))
		if err != nil {
			return err
		}
		if size == 0 && ram {
			r.note("the memory %q stays on small pages, as %s is on no hugetlbfs", b.id, b.get("mem-path"))
		}
	case "memfd":
		switch {
		case hugetlb && b.get("hugetlbsize") == "":
			size = r.DefaultSize
		case hugetlb:
			n, err := parseSize(b.get("hugetlbsize"), 1)
			if err != nil || n == 0 {
				return fmt.Errorf("memory backend %q: %q is not a page size", b.id, b.get("hugetlbsize"))
			}
			size = pages.Size(n)
		case said && ram:
			r.note("the memory %q stays on small pages, as it has hugetlb=off", b.id)
		case !said && change:
			size = r.Size
		}
	case "ram":
		if change {
			size = r.Size
		}
	}
	if size == 0 {
		if isDevice && !dimm && b.kind != "file" {
			r.note("the memory %q of a %s stays on small pages", b.id, driver)
		}
		return nil
	}
	if b.kind != "file" && bytes%int64(size) != 0 {
		return fmt.Errorf("memory backend %q: its %s are not a multiple of a page of %s", b.id, pages.FormatBytes(bytes), size)
	}
	before := b.String()
	if b.kind == "ram" {
		b.set("qom-type", "memory-backend-memfd")
		if _, said := b.on("share"); !said {
			b.set("share", false) // a memfd is shared unless told otherwise
		}
	}
	if b.kind != "file" && !hugetlb {
		b.set("hugetlb", true)
		b.set("hugetlbsize", int64(size))
	}
	prealloc, said := b.on("prealloc")
	reserve, saidReserve := b.on("reserve")
	lazy := saidReserve && !reserve
	if !said && change && !lazy {
		prealloc = true
		if !r.prealloc {
			b.set("prealloc", true)
		}
	}
	if after := b.String(); after != before {
		r.args[b.at] = after
		r.changed("made -object", before, "into", after)
	}
	item := pages.Item{GuestNode: -1, Kind: pages.RAM, MemoryKiB: bytes / pages.KiB, Source: b.kind}
	switch {
	case isCell:
		item.Kind, item.GuestNode = pages.Cell, cell
	case dimm:
		item.Kind = pages.DIMM
	}
	item.HostNodes, err = b.nodes()
	if err != nil {
		return fmt.Errorf("memory backend %q: %w", b.id, err)
	}
	switch b.get("policy") {
	case "bind":
		item.Mode = pages.Strict
	case "preferred":
		item.Mode = pages.Preferred
	case "interleave":
		item.Mode = pages.Interleave
	}
	r.take(item, size, prealloc, lazy)
	return nil
}

// take adds what a backend takes from the pools.
func (r *reader) take(item pages.Item, size pages.Size, prealloc, lazy bool) {
	item.PageSize, item.Pages = size, size.Ceil(item.MemoryKiB*pages.KiB)
	switch {
	case prealloc:
		r.cmd.FilledKiB += item.Pages * size.KiB()
	case lazy: // reserve=off: nothing is taken before the guest touches it
		item.Pages, item.LaterPages = 0, item.Pages
	}
	r.cmd.Demand.Items = append(r.cmd.Demand.Items, item)
}

// plain counts the memory of -m where no backend of the user's is the guest's
// RAM, and puts it on huge pages.
//
// It becomes a memfd rather than a file: that needs no mount and no permission
// on one, and it names its page size. It is mapped privately, as QEMU's plain
// memory is.
func (r *reader) plain() error {
	if r.whole != "" || len(r.cells) > 0 {
		for _, id := range append(slices.Sorted(maps.Keys(r.cells)), r.whole) {
			if id != "" {
				r.known(id)
			}
		}
		return nil
	}
	if r.memory <= 0 {
		return errors.New("it does not say how much memory the guest gets: add -m SIZE")
	}
	// QEMU rounds it up (set_memory_options() in softmmu/vl.c).
	bytes := (r.memory + 8191) / 8192 * 8192
	r.cmd.RAMKiB += bytes / pages.KiB
	item := pages.Item{GuestNode: -1, Kind: pages.RAM, MemoryKiB: bytes / pages.KiB, Source: "memfd"}
	if r.memPath != "" {
		size, err := r.PageSizeAt(r.memPath)
		if err != nil {
			return err
		}
		if size == 0 {
			return fmt.Errorf("-mem-path %s is on no hugetlbfs: name a mount of one, or leave it out", r.memPath)
		}
		item.Source = "file"
		if !r.prealloc {
			r.add("-mem-prealloc")
		}
		r.take(item, size, true, false)
		return nil
	}
	if bytes%int64(r.Size) != 0 {
		return fmt.Errorf("its memory of %s is not a multiple of a page of %s: write -m %dM", pages.FormatBytes(bytes), r.Size,
			r.Size.Ceil(bytes)*int64(r.Size)/pages.MiB)
	}
	id := r.ramID()
	object := options{implied: "qom-type"}
	object.set("qom-type", "memory-backend-memfd")
	object.set("id", id)
	object.set("size", bytes)
	object.set("hugetlb", true)
	object.set("hugetlbsize", int64(r.Size))
	object.set("share", false)
	object.set("prealloc", true)
	r.add("-object", object.String())
	r.add("-machine", "memory-backend="+id)
	r.take(item, r.Size, true, false)
	return nil
}

// known notes RAM that something else backs.
func (r *reader) known(id string) {
	if !slices.ContainsFunc(r.backends, func(b *backend) bool { return b.id == id }) {
		r.note("the memory %q is of a backend that stays as it is", id)
	}
}

// ramID is the name that QEMU itself gives to the RAM of the usual machines
// (default_ram_id). With it, snapshots and migrations fit those of the same
// command line without vmhuge.
func (r *reader) ramID() string {
	program := base(r.args[0])
	id := "pc.ram"
	switch {
	case strings.HasPrefix(r.machine, "microvm"):
		id = "microvm.ram"
	case strings.HasPrefix(program, "qemu-system-aarch64"), strings.HasPrefix(program, "qemu-system-arm"):
		id = "mach-virt.ram"
	case strings.HasPrefix(program, "qemu-system-riscv"):
		id = "riscv_virt_board.ram"
	case strings.HasPrefix(program, "qemu-system-ppc"):
		id = "ppc_spapr.ram"
	case strings.HasPrefix(program, "qemu-system-s390x"):
		id = "s390.ram"
	}
	if slices.ContainsFunc(r.backends, func(b *backend) bool { return b.id == id }) {
		return "vmhuge.ram"
	}
	return id
}
