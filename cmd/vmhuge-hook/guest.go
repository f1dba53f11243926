package main

import (
	"bytes"

	"vmhuge/hostprep"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/internal/pages"
	"vmhuge/xml"
)

// guest reads what the document on stdin demands; false: no huge pages.
func (c *call) guest() (doc []byte, guest hostprep.Guest, huge bool, err error) {
	if doc, err = c.document(); err != nil || !mayDemand(doc) {
		return doc, guest, false, err
	}
	demand, err := xml.DemandOn(doc, func() (pages.Size, error) { return libvirtd.DefaultPageSize(c.host, "") })
	c.event.UUID = demand.UUID
	guest = hostprep.NewGuest(demand, pages.Traits{}, hostprep.SystemStarter(hostprep.UnknownVersion, hostprep.UnknownVersion),
		hostprep.IDs{ID: demand.ID, RunningIDs: nil}, hostprep.Unasked())
	return doc, guest, demand.Backing == pages.Hugetlb, err
}

// mayDemand says whether the document must be parsed to know: without one of
// these elements no memory is on huge pages, whatever else it says. XML has no
// other way to write an element's name, and libvirt writes UTF-8.
func mayDemand(doc []byte) bool {
	return bytes.Contains(doc, []byte("hugepages")) || bytes.Contains(doc, []byte("pagesize"))
}
