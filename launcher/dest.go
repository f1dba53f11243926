package launcher

import (
	"cmp"
	"errors"
	"slices"
	"strconv"

	"libvirt.org/go/libvirt"

	"vmhuge/explain"
	"vmhuge/hostprep"
	"vmhuge/hostprep/capacity"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
	"vmhuge/internal/shell"
	"vmhuge/xml"
)

// Dest is another host, as its libvirt shows it, and whether a guest that comes
// there would find its pages.
type Dest struct {
	URI      string             `json:"uri"`
	Libvirt  uint32             `json:"libvirt_version"` // 9001000 is 9.1.0; 0: not known
	QEMU     uint32             `json:"qemu_version"`
	Verdict  hostprep.Verdict   `json:"verdict"`
	Ready    bool               `json:"ready"`
	Pools    []DestPool         `json:"pools"`
	Memory   []DestMemory       `json:"memory"`
	Findings []hostprep.Finding `json:"findings"`
	// Unseen is what can't be told from here, and could keep the guest from its
	// pages all the same.
	Unseen []string `json:"unseen"`

	conn  *libvirt.Connect
	nodes []host.Node
	state pool.State
	small pages.Size // of the host's pages
}

// DestPool is the pool of one page size on a node of another host, in pages.
type DestPool struct {
	Node  int        `json:"node"`
	Size  pages.Size `json:"page_size_kib"`
	Total int64      `json:"total"`
	Free  int64      `json:"free"` // with what is reserved
}

// DestMemory is the ordinary memory of a node of another host.
type DestMemory struct {
	Node     int   `json:"node"`
	TotalKiB int64 `json:"total_kib"`
	FreeKiB  int64 `json:"free_kib"`
}

// OpenDest looks at another host. Where only looking is allowed, less is seen.
func OpenDest(uri string) (*Dest, error) {
	conn, err := libvirt.NewConnect(uri)
	if err != nil {
		var rerr error
		conn, rerr = libvirt.NewConnectReadOnly(uri)
		if rerr != nil {
			return nil, refused(err, "connecting to "+uri)
		}
	}
	d := &Dest{URI: uri, conn: conn}
	if err := d.read(); err != nil {
		d.Close()
		return nil, refused(err, "asking "+uri+" for its pages")
	}
	return d, nil
}

// Close ends the connection.
func (d *Dest) Close() { _, _ = d.conn.Close() }

func (d *Dest) read() error {
	d.Libvirt, _ = d.conn.GetLibVersion()
	d.QEMU, _ = d.conn.GetVersion()
	text, err := d.conn.GetCapabilities()
	if err != nil {
		return err
	}
	cells, err := xml.HostCells(text)
	if err != nil {
		return err
	}
	for _, cell := range cells {
		node := host.Node{ID: cell.ID}
		if m, err := d.conn.GetMemoryStats(cell.ID, 0); err == nil {
			node.Total, node.Free = int64(m.Total)*pages.KiB, int64(m.Free)*pages.KiB
			d.Memory = append(d.Memory, DestMemory{cell.ID, int64(m.Total), int64(m.Free)})
		}
		d.nodes = append(d.nodes, node)
		var sizes []uint64
		small := pages.Size(0) // the first is not huge
		for size := range cell.Pages {
			sizes = append(sizes, uint64(size.KiB()))
			if small == 0 || size < small {
				small = size
			}
		}
		d.small = small
		slices.Sort(sizes)
		free, err := d.conn.GetFreePages(sizes, cell.ID, 1, 0)
		if err == nil && len(free) < len(sizes) { // so does libvirt's test driver
			err = errors.New("it does not report the free pages of node " + strconv.Itoa(cell.ID))
		}
		if err != nil {
			return err
		}
		for i, kib := range sizes {
			size := pages.SizeOfKiB(int64(kib))
			if size == small {
				continue
			}
			d.Pools = append(d.Pools, DestPool{cell.ID, size, cell.Pages[size], int64(free[i])})
			d.state.Pools = append(d.state.Pools, pool.Pool{Node: cell.ID, Size: size, Total: cell.Pages[size], Free: int64(free[i])})
		}
	}
	for _, p := range d.state.Pools {
		at := slices.IndexFunc(d.state.Globals, func(g pool.Global) bool { return g.Size == p.Size })
		if at < 0 {
			at = len(d.state.Globals)
			d.state.Globals = append(d.state.Globals, pool.Global{Size: p.Size})
		}
		d.state.Globals[at].Total += p.Total
		d.state.Globals[at].Free += p.Free
	}
	slices.SortFunc(d.state.Globals, func(a, b pool.Global) int { return cmp.Compare(a.Size, b.Size) })
	return nil
}

// CheckDest says whether a domain would find its pages on another host, were it
// moved there. Nothing is asked of this one but the domain's XML.
func (l *Launcher) CheckDest(name string, d *Dest) (Report, error) {
	dom, err := l.find(name)
	if err != nil {
		return Report{}, err
	}
	defer dom.Free()
	flags := libvirt.DomainXMLFlags(0) // no passwords: the other libvirt reads it
	if dom.persistent && !dom.state.active() {
		flags |= libvirt.DOMAIN_XML_INACTIVE // else what runs is what is moved
	}
	text, err := dom.GetXMLDesc(flags)
	if err != nil {
		return Report{}, refused(err, "reading the XML of "+dom.name)
	}
	dom.xml = []byte(text)
	r := Report{Name: dom.name, UUID: dom.uuid, State: dom.state, Backing: pages.None}
	demand, err := xml.Demand(dom.xml, 0)
	if err != nil {
		return r, advice.About(err, "checking %s", dom.name)
	}
	r.Backing, r.Demand, r.Totals = demand.Backing, demand.Items, demand.Totals()
	there := *d
	there.Findings, err = capacity.OnDest(d.nodes, d.state, demand)
	if err != nil {
		return r, err
	}
	if f := unfilled(demand, d.QEMU, dom.name); f != nil {
		there.Findings = append(there.Findings, *f)
	}
	there.askForMounts(dom, demand)
	for i := range there.Findings {
		if f := &there.Findings[i]; f.Check == "" {
			f.Check = "dest"
		}
		there.Findings[i].Changes = []change.Change{}
	}
	there.Verdict, there.Ready, _ = hostprep.Conclude(there.Findings)
	r.Verdict, r.Ready, r.Dest = there.Verdict, there.Ready, &there
	return r, nil
}

// askForMounts asks the other libvirt for QEMU's command line, which it can't
// write without a hugetlbfs of the guest's page sizes. Of a failure for anything
// else, and where it may not be asked, it says nothing of the mounts.
func (d *Dest) askForMounts(dom *domain, demand pages.Demand) {
	if len(demand.Items) == 0 {
		return
	}
	d.Unseen = append(d.Unseen, "how many of the free pages other programs there have reserved, and what overcommit adds")
	if slices.ContainsFunc(demand.Items, func(i pages.Item) bool { return i.PageSize == 0 }) {
		size := usualThere(dom.xml, d.state.Sizes())
		d.Findings = append(d.Findings, hostprep.Finding{Severity: hostprep.Warning, Verdict: hostprep.Unknown,
			Have: "the domain names no page size, and libvirt's default there is not known",
			Need: "a page size in the XML", Do: "run vmhuge enable --size " + pages.SizeWord(size) + " " + shell.Operand(dom.name)})
	}
	if !slices.ContainsFunc(demand.Items, func(i pages.Item) bool { return i.Source != "memfd" }) {
		return
	}
	missing, err := d.missingMount(dom.xml)
	if missing != "" {
		d.Findings = append(d.Findings, hostprep.Finding{Severity: hostprep.Blocker, Verdict: hostprep.NoMount,
			Cause: hostprep.MountMissing, Have: missing, Need: "a hugetlbfs mount of the guest's page size that libvirt there knows",
			Do: "mount one there and restart its libvirtd or virtqemud, or vmhuge enable --source memfd " + shell.Operand(dom.name)})
		return
	}
	if err != nil {
		d.Unseen = append(d.Unseen, "whether libvirt there knows a hugetlbfs mount of this page size")
	}
	d.Unseen = append(d.Unseen, "whether QEMU's user there can access the folders on it")
}

// usualThere is the page size that vmhuge enable would take for a domain on a host with these.
func usualThere(doc []byte, have []pages.Size) pages.Size {
	traits, _ := xml.Traits(doc)
	return pages.Usual(traits.Arch, have)
}

// missingMount is what the other libvirt says of a mount that it lacks for a domain; "":
// nothing. The error is another reason why it writes no command line.
func (d *Dest) missingMount(doc []byte) (message string, err error) {
	argv, err := d.conn.DomainXMLToNative("qemu-argv", string(doc), 0)
	if err == nil && !hasMemory(argv) {
		return "libvirt there writes a command line of QEMU without the guest's memory", nil
	}
	if lverr := (libvirt.Error{}); errors.As(err, &lverr) {
		for _, m := range explain.Error(int(lverr.Code), lverr.Message) {
			if m.Check == check.Mount.Name {
				return lverr.Message, nil
			}
		}
	}
	return "", err
}
