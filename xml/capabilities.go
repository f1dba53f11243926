package xml

import (
	"encoding/xml"

	"vmhuge/internal/pages"
)

// HostCell is a NUMA node of a host, as libvirt's capabilities have it.
type HostCell struct {
	ID    int
	Pages map[pages.Size]int64 // of each size that it has, the small page too
}

// HostCells reads the nodes of a host from its capabilities:
//
//	<topology><cells num='1'><cell id='0'>
//	  <memory unit='KiB'>24684100</memory>
//	  <pages unit='KiB' size='4'>6171025</pages>
//	  <pages unit='KiB' size='2048'>32</pages>
//
// Source: docs/formatcaps.rst of libvirt.
func HostCells(capabilities string) ([]HostCell, error) {
	var caps struct {
		Cells []struct {
			ID    int `xml:"id,attr"`
			Pages []struct {
				Unit  string `xml:"unit,attr"`
				Size  uint64 `xml:"size,attr"`
				Count int64  `xml:",chardata"`
			} `xml:"pages"`
		} `xml:"host>topology>cells>cell"`
	}
	if err := xml.Unmarshal([]byte(capabilities), &caps); err != nil {
		return nil, err
	}
	var cells []HostCell
	for _, c := range caps.Cells {
		cell := HostCell{ID: c.ID, Pages: map[pages.Size]int64{}}
		for _, p := range c.Pages {
			size, err := kib(p.Size, p.Unit)
			if err != nil {
				return nil, err
			}
			cell.Pages[pages.SizeOfKiB(size)] = p.Count
		}
		cells = append(cells, cell)
	}
	return cells, nil
}
