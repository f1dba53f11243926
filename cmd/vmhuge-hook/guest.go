package main

import (
	"bytes"
	"slices"

	"vmhuge/hostprep"
	"vmhuge/internal/pages"
	"vmhuge/xml"
)

// guest reads what the document on stdin demands; false: no huge pages.
func (c *call) guest() (doc []byte, guest hostprep.Guest, huge bool, err error) {
	if doc, err = c.document(); err != nil || !mayDemand(doc) {
		return doc, guest, false, err
	}
	demand, err := xml.Demand(doc, 0)
	c.event.UUID = demand.UUID
	open := slices.ContainsFunc(demand.Items, func(i pages.Item) bool { return i.PageSize == 0 })
	if err == nil && open {
		var size pages.Size
		if size, err = c.host.DefaultPageSize(""); err == nil {
			demand, err = xml.Demand(doc, size)
		}
	}
	guest = hostprep.Guest{Demand: demand, BaseDir: "libvirt/qemu", DefaultSize: open, ID: demand.ID}
	return doc, guest, demand.Backing == pages.Hugetlb, err
}

// mayDemand says whether the document must be parsed to know: without one of
// these elements no memory is on huge pages, whatever else it says. XML has no
// other way to write an element's name, and libvirt writes UTF-8.
func mayDemand(doc []byte) bool {
	return bytes.Contains(doc, []byte("hugepages")) || bytes.Contains(doc, []byte("pagesize"))
}
