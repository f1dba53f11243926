package explain

import (
	"strconv"
	"strings"

	"vmhuge/internal/lazyregexp"
)

// backend is the memory that a message is about, as QEMU's -object or -mem-path in the same
// line tells.
type backend struct {
	place      Place
	path       string // "": it has none, or none is told
	size, page uint64 // bytes; 0: not told
}

// backendOf reads the line that words are in; other options may follow them.
//
//	qemu-kvm: -object {"qom-type":"memory-backend-memfd","id":"pc.ram","hugetlb":true,"hugetlbsize":2097152,"size":4294967296}: …
//	kvm: -object memory-backend-file,id=ram-node0,size=16384M,mem-path=/run/hugepages/kvm/1048576kB: …
//	qemu-system-x86_64: cannot set up guest memory 'pc.ram': …
func (r reading) backendOf(begin, end int, hugetlbfs []string) backend {
	first, _ := linesOf(r.text, begin, end)
	line := r.text[first:end]
	if all := objectIn.Get().FindAllStringIndex(line, -1); all != nil {
		line = line[all[len(all)-1][0]:]
	} else {
		_, last := linesOf(r.text, begin, end)
		line = r.text[first:last]
	}
	b := r.backendIn(line, begin, end, hugetlbfs)
	if b.place == Untold && b.path == "" {
		// QEMU's command line, before what QEMU says, where all memory on it is of one sort.
		if told, ok := r.commanded(first, begin, end, hugetlbfs); ok {
			told.size, told.page = b.size, b.page
			return told
		}
	}
	return b
}

// commanded is the memory that QEMU's command line has, in the text before a line.
func (r reading) commanded(before, begin, end int, hugetlbfs []string) (backend, bool) {
	typed := r.text[:before]
	var starts [][]int
	switch {
	case strings.Contains(typed, "memory-backend-"):
		starts = objectIn.Get().FindAllStringIndex(typed, -1)
	case strings.Contains(typed, "mem-path"):
		starts = memPathIn.Get().FindAllStringIndex(typed, -1)
	}
	var found []backend
	for _, at := range starts {
		_, last := linesOf(typed, at[0], at[1])
		b := r.backendIn(typed[at[0]:last], begin, end, hugetlbfs)
		if len(found) > 0 && b.place != found[0].place {
			return backend{}, false
		}
		found = append(found, b)
	}
	if len(found) == 0 {
		return backend{}, false
	}
	if len(found) > 1 {
		found[0].path = "" // which of them is not told
	}
	return found[0], true
}

// backendIn reads a part of the text that begins with -object or -mem-path, or a whole line.
func (r reading) backendIn(line string, begin, end int, hugetlbfs []string) backend {
	b := backend{place: Untold}
	kind := ""
	if at := objectIn.Get().FindStringSubmatch(line); at != nil {
		kind = at[1]
	}
	b.size, b.page = bytesIn(sizeIn, line), bytesIn(pageSizeOf, line)
	if found := memPathIn.Get().FindStringSubmatch(line); found != nil {
		b.path = found[1]
		if b.place = PlaceOf(b.path, hugetlbfs...); b.path[0] != '/' {
			b.place = MemoryFile // below the folder that QEMU was started in
		}
	}
	if found := pageSizeSaid.Get().FindStringSubmatch(line); found != nil {
		b.page, _ = strconv.ParseUint(found[1], 16, 64) // 15 digits fit
	}
	switch {
	case deviceIn.Get().MatchString(line):
		b.place = Device
	case kind == "epc":
		b.place = Enclave
	case kind == "ram", kind == "shm", kind == "memfd" && !hugetlbIn.Get().MatchString(line), strings.Contains(r.low[begin:end], "cannot set up guest memory"):
		b.place = Anonymous
	case r.platform == proxmox && (b.place == Untold || b.place == HugeFile || b.place == MountRoot):
		b.place = Proxmox
	}
	return b
}

// smallestHuge is the largest of the sizes that are the smallest huge pages of an
// architecture: 64 KiB of arm64, 1 MiB of s390x, 2 MiB of the others.
const smallestHuge = 2 << 20

// isAligned says that the memory is a whole number of pages, whichever they are where no
// size of them is told: usual are 1 GiB at most.
func (b backend) isAligned() bool {
	page := b.page
	if page == 0 {
		page = 1 << 30
	}
	return b.size > 0 && b.size%page == 0
}

var (
	objectIn  = lazyregexp.New(`(?:-object\s+'?|"?qom-type"?[=:]"?)memory-backend-([a-z]+)`)
	memPathIn = lazyregexp.New(`\bmem-path"?[=: ]"?([/.\w][^,\s"]*?):?(?:[,\s"]|$)`)
	// deviceIn is the id that libvirt gives the memory of a <shmem>.
	deviceIn  = lazyregexp.New(`\bid"?[=:]"?shmmem-`)
	hugetlbIn = lazyregexp.New(`\bhugetlb"?[=:]"?(?:on|yes|true|y)\b`)
	sizeIn    = lazyregexp.New(`[,"{]size"?[=:]"?([0-9]{1,15})([KMGTkmgt]?)`)
	// pageSizeSaid is the page size in QEMU's "must be equal to or larger than page size 0x200000".
	pageSizeSaid = lazyregexp.New(`than page size 0x([0-9a-f]{1,15})\b`)
	pageSizeOf   = lazyregexp.New(`\bhugetlbsize"?[=:]"?([0-9]{1,15})([KMGTkmgt]?)`)
)

// bytesIn returns a size as QEMU takes it, in bytes; 0: none is there.
func bytesIn(form *lazyregexp.Regexp, line string) uint64 {
	found := form.Get().FindStringSubmatch(line)
	if found == nil {
		return 0
	}
	n, _ := strconv.ParseUint(found[1], 10, 64) // 15 digits fit
	if unit := strings.ToLower(found[2]); unit != "" {
		n <<= 10 * (strings.Index("kmgt", unit) + 1)
	}
	return n
}
