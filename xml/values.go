package xml

import (
	"slices"
	"strings"

	"vmhuge/internal/advice"
)

// unknownValue refuses values that libvirt refuses when the domain is defined, as
// none of its versions up to 12 knows them: the enumerations of
// src/conf/domain_conf.c and numa_conf.c.
func unknownValue(dom *domain) error {
	var wrong *advice.Error
	one := func(value, of string, known ...string) {
		if value != "" && wrong == nil && !slices.Contains(known, value) {
			wrong = refusal(dom, noCause, "take "+strings.Join(known, ", "), "libvirt knows no %s '%s'", of, value)
		}
	}
	access := []string{"shared", "private"}
	if b := dom.MemoryBacking; b != nil {
		one(source(dom), "<source> of type", "file", "anonymous", "memfd")
		if b.MemoryAccess != nil {
			one(b.MemoryAccess.Mode, "<access> of mode", access...)
		}
		if b.MemoryAllocation != nil {
			one(b.MemoryAllocation.Mode, "<allocation> of mode", "immediate", "ondemand")
		}
	}
	for _, c := range dom.Cells {
		one(c.MemAccess, "memAccess", access...)
		one(c.Discard, "discard", "yes", "no")
	}
	modes := []string{"strict", "preferred", "interleave", "restrictive"}
	if t := dom.NUMATune; t != nil {
		if t.Memory != nil {
			one(t.Memory.Mode, "mode of <numatune>", modes...)
			one(t.Memory.Placement, "placement", "static", "auto", "default")
		}
		for _, m := range t.MemNodes {
			one(m.Mode, "mode of <memnode>", modes...)
		}
	}
	for _, m := range dom.Memorydevs {
		one(m.Model, "memory of model", "dimm", "nvdimm", "virtio-pmem", "virtio-mem", "sgx-epc")
		one(m.Access, "access", access...)
		one(m.Discard, "discard", "yes", "no")
	}
	if wrong != nil {
		return wrong
	}
	return nil
}
