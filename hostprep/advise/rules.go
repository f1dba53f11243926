package advise

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// A rule looks at a guest on a host. Where it applies it says so with the
// numbers that make it, else nothing.
type rule struct {
	name    string
	weights [4]int   // for or against THP, the usual pages, 1 GiB, none: in the order of Choices
	out     []Choice // what can't be had
	says    func(view) string
}

// What follows from the guest being small or large. The second-level TLBs of
// today's x86 cores have up to 2048 entries for pages of 2 MiB.
const (
	smallGuest = 128 * pages.MiB
	largeGuest = 16 * pages.GiB
	tlbEntries = 2048
)

// preallocation is how many bytes a second one CPU zeroes: 8 GiB in 0.9 s,
// measured with QEMU 7.2 on warm memory.
const preallocation = 87 * pages.GiB / 10

var (
	only1GiB  = []Choice{Choose1GiB}
	onlyUsual = []Choice{chooseUsual}
	onlyTHP   = []Choice{ChooseTHP}
)

// rules are all that the advice follows from.
var rules = []rule{
	// What huge pages gain.
	{"page tables", [4]int{1, 1, 1, 0}, nil, func(v view) string {
		small := int64(v.small)
		text := when(v.Demand.Type == "kvm" && !v.guestMemfd(), "%s is %d pages of %s with %s of page tables, %s",
			pages.Amount(v.ram()), v.ram()/small, pages.Size(small), pages.Amount(v.ram()/small*8), orOf(v.counts(" pages")))
		if text != "" && v.cpu.Known { // four levels of the guest's table, each found by up to four of the host's
			text += "; a TLB miss reads up to 24, 19 or 14 entries of the guest's and the host's tables"
		}
		return text
	}},
	{"emulation", [4]int{0, -1, -1, 0}, nil, func(v view) string {
		return when(v.Demand.Type != "kvm", "its type is %s: there is no second page table, and the only one takes %s for %s", v.Demand.Type, pages.Amount(v.ram()/int64(v.small)*8), pages.Amount(v.ram()))
	}},
	{"small guest", [4]int{-2, -1, -2, 1}, nil, func(v view) string {
		return when(v.ram() <= smallGuest, "for %s of RAM, huge pages save only %s of page tables", pages.Amount(v.ram()), pages.Amount(v.ram()/int64(v.small)*8))
	}},
	{"large guest", [4]int{0, 3, 2, 0}, nil, func(v view) string {
		return when(v.ram() >= largeGuest, "%s needs %d transparent huge pages, and the kernel may fail to find some of them", pages.Amount(v.ram()), v.thpSize().Ceil(v.ram()))
	}},
	{"beyond the TLB", [4]int{0, 0, 1, 0}, nil, func(v view) string {
		n := v.page.Ceil(v.reserved())
		return when(v.cpu.Known && n > tlbEntries, "a second-level TLB has up to %d entries, and the guest %s", tlbEntries, v.counts(" pages"))
	}},

	// Who pins or maps the memory anyway.
	{"VFIO", [4]int{0, 3, 3, -1}, nil, func(v view) string {
		return when(v.Traits.VFIO > 0, "%s is pinned by %d VFIO %s anyway: reserved pages cost nothing more", pages.Amount(v.ram()), v.Traits.VFIO, pages.Plural(v.Traits.VFIO, "device"))
	}},
	{"locked", [4]int{0, 2, 2, 0}, nil, func(v view) string {
		by := "is <locked/> in memory"
		if v.Traits.Security == "sev" { // sev_pin_memory() in the kernel's arch/x86/kvm/svm/sev.c
			by = "is pinned by KVM for SEV"
		}
		return when(v.Traits.Locked || v.Traits.Security == "sev", "%s %s anyway: reserved pages cost nothing more", pages.Amount(v.ram()), by)
	}},
	{"shared memory", [4]int{-4, 3, 3, 0}, nil, func(v view) string {
		return when(v.Traits.SharedBy > 0, "%d virtiofs, vhost-user or vhost-vdpa %s map %s; QEMU 7.2 aligns shared memory to 4 KiB, so that none of it gets transparent huge pages", v.Traits.SharedBy, pages.Plural(v.Traits.SharedBy, "device"), pages.Amount(v.ram()))
	}},
	{"shared cells", [4]int{-3, 1, 1, 0}, nil, func(v view) string {
		shared := v.Traits.SharedKiB * pages.KiB
		return when(v.Traits.SharedBy == 0 && shared > 0, "%s of it is in cells with memAccess='shared'; QEMU 7.2 aligns shared memory to 4 KiB, so that none of that gets transparent huge pages", pages.Amount(shared))
	}},
	{"shared access", [4]int{}, nil, func(v view) string {
		return when(v.Traits.SharedBy > 0 && !v.Traits.Shared, "%d virtiofs, vhost-user or vhost-vdpa %s, but no <access mode='shared'/>, which they need", v.Traits.SharedBy, pages.Plural(v.Traits.SharedBy, "device"))
	}},

	// What reserved pages take from the host.
	{"share of the host", [4]int{0, -2, -2, 0}, nil, func(v view) string {
		return when(!v.pinned() && v.ram()*2 > v.mem.Total, "%s of the host's %s, %d %%, is unavailable to everything else while it runs", pages.Amount(v.ram()), pages.Amount(v.mem.Total), percent(v.ram(), v.mem.Total))
	}},
	{"share of the host", [4]int{}, nil, func(v view) string {
		return when(v.ram()*2 <= v.mem.Total, "%s of the host's %s, %d %%", pages.Amount(v.ram()), pages.Amount(v.mem.Total), percent(v.ram(), v.mem.Total))
	}},
	{"larger than the host", [4]int{}, []Choice{ChooseTHP, chooseUsual, Choose1GiB}, func(v view) string {
		most := v.mem.Total - pool.Reserve(v.mem.Total)
		return when(!v.Runs && v.ram() > most, "%s of RAM are more than the %s that this host can give a guest, on pages of any kind: lower <memory>", pages.Amount(v.ram()), pages.Amount(most))
	}},
	{"room", [4]int{}, onlyUsual, func(v view) string {
		return when(v.takes(v.page) && !v.fits(v.page), "%d pages of %s are needed: %d are free, and the pools can grow by %d", v.page.Ceil(v.reserved()), v.page, v.free(v.page), v.headroom/int64(v.page))
	}},
	{"commit limit", [4]int{0, 0, 0, -5}, onlyTHP, func(v view) string {
		left := v.commit.Left()
		return when(!v.Runs && v.outside() > left, "vm.overcommit_memory is 2, and %s of the %s that the kernel commits are left: on small or transparent huge pages QEMU could not set up its %s",
			pages.Amount(max(0, left)), pages.Amount(v.commit.Limit), pages.Amount(v.outside()))
	}},
	{"mount's size", [4]int{0, -3, 0, 0}, nil, func(v view) string { return v.withoutFiles(v.page) }},
	{"mount's size", [4]int{0, 0, -3, 0}, nil, func(v view) string { return v.withoutFiles(pages.Size1GiB) }},
	{"cgroup's limit", [4]int{}, onlyUsual, func(v view) string { return v.beyond(v.page, false) }},
	{"cgroup's limit", [4]int{}, only1GiB, func(v view) string { return v.beyond(pages.Size1GiB, false) }},
	{"balloon", [4]int{0, -3, -3, 0}, nil, func(v view) string {
		given := v.ram() - v.Traits.CurrentKiB*pages.KiB
		return when(v.Traits.Balloon && given > 0 && !v.keepsAll(), "its balloon returns %s to the host; with reserved pages it could not", pages.Amount(given))
	}},
	{"free page reporting", [4]int{0, -2, -2, 0}, nil, func(v view) string {
		return when(v.Traits.Reporting && !v.keepsAll(), "it returns up to %s of unused memory to the host; with reserved pages it could not", pages.Amount(v.ram()))
	}},
	{"memory limit", [4]int{0, -2, -2, 0}, nil, func(v view) string {
		limit := v.Traits.LimitKiB * pages.KiB
		return when(!v.counted && limit > 0 && limit < v.ram(), "<hard_limit> limits it to %s of %s, and does not count reserved pages", pages.Amount(limit), pages.Amount(v.ram()))
	}},
	{"memory limit counts", [4]int{}, []Choice{chooseUsual, Choose1GiB}, func(v view) string {
		limit := v.Traits.LimitKiB * pages.KiB
		return when(v.counted && limit > 0 && limit < v.ram(), "<hard_limit> limits it to %s of %s, and this host counts reserved pages as memory (memory_hugetlb_accounting): it would not start on them", pages.Amount(limit), pages.Amount(v.ram()))
	}},
	{"swapping", [4]int{0, -2, -2, 0}, nil, func(v view) string {
		return when(!v.pinned() && v.swap.Used*100 > v.mem.Total, "the host has swapped out %s, and reserved pages are never swapped", pages.Amount(v.swap.Used))
	}},
	{"swap", [4]int{}, nil, func(v view) string {
		return when(!v.pinned() && v.swap.Total > 0 && v.swap.Used*100 <= v.mem.Total, "reserved pages cannot use the %s of swap; %s is used", pages.Amount(v.swap.Total), pages.Amount(v.swap.Used))
	}},
	{"KSM", [4]int{-2, -3, -3, 2}, nil, func(v view) string {
		return when(!v.pinned() && v.merged()*20 >= v.mem.Total, "merging saves %s now (pages_sharing %d), %d %% of the host; it works on small pages", pages.Amount(v.merged()), v.ksm.Sharing, percent(v.merged(), v.mem.Total))
	}},
	{"KSM", [4]int{}, nil, func(v view) string {
		return when(v.ksm.Run && !v.pinned() && v.merged()*20 < v.mem.Total, "merging saves %s now (pages_sharing %d), but never merges reserved pages", pages.Amount(v.merged()), v.ksm.Sharing)
	}},

	// What the host has.
	{"free pages", [4]int{0, 3, 0, 0}, nil, func(v view) string {
		n := v.page.Ceil(v.reserved())
		return when(v.takes(v.page) && v.free(v.page) >= n, "%d pages of %s are free in the pool already, and it needs %d", v.free(v.page), v.page, n)
	}},
	{"free memory in one piece", [4]int{2, 0, 0, 0}, nil, func(v view) string {
		n := v.thpSize().Ceil(v.ram())
		return when(v.blocks() >= n && !v.guestMemfd(), "%d blocks of %s are free after %s, and it needs %d", v.blocks(), v.thpSize(), days(v.uptime), n)
	}},
	{"fragmentation", [4]int{0, 1, 0, 0}, nil, func(v view) string {
		n := v.thpSize().Ceil(v.ram())
		return when(v.blocks() < n && !v.guestMemfd() && v.free(v.page) < v.page.Ceil(v.reserved()), "%d blocks of %s are free after %s, and it needs %d: the rest needs compaction, which vmhuge start repeats until it has all pages", v.blocks(), v.thpSize(), days(v.uptime), n)
	}},
	{"THP is off", [4]int{-3, 0, 0, 0}, nil, func(v view) string {
		return when(v.thp.Enabled == "never", "transparent_hugepage/%s is %s: it would get 0 of %d; madvise is enough for QEMU", v.thpFile, v.thp.Enabled, v.thpSize().Ceil(v.ram()))
	}},
	{"no THP", [4]int{}, onlyTHP, func(v view) string {
		return when(v.thp.Enabled == "", "this kernel has no transparent huge pages: /sys/kernel/mm/transparent_hugepage is missing")
	}},
	{"architecture", [4]int{}, onlyUsual, func(v view) string { return v.foreign(v.page) }},
	{"architecture", [4]int{}, only1GiB, func(v view) string { return v.foreign(pages.Size1GiB) }},
	{"THP on s390x", [4]int{-5, 0, 0, 0}, nil, func(v view) string {
		return when(v.Traits.Arch == "s390x", "KVM on s390x before Linux 7.0 splits the transparent huge pages of a guest: it would get 0 of %d", v.thpSize().Ceil(v.ram()))
	}},
	{"private memory", [4]int{-1, -4, -4, 2}, nil, func(v view) string {
		return when(v.guestMemfd(), "with %s its private memory is a guest_memfd, which has no huge pages: %s of reserved ones would back only what it shares, and stay allocated beside the private memory", v.Traits.Security, pages.Amount(v.ram()))
	}},
	{"protected guest", [4]int{}, []Choice{chooseUsual, Choose1GiB}, func(v view) string {
		return when(v.Traits.Security == "s390-pv", "QEMU does not let a guest with s390-pv enter protected mode on reserved pages")
	}},
	{"no 2 MiB", [4]int{}, onlyUsual, func(v view) string {
		return when(!v.has(v.page), "this kernel has no huge pages of %s%s", v.page, v.only())
	}},
	{"part of a page", [4]int{}, onlyUsual, func(v view) string {
		return when(v.page > pages.Size2MiB && !v.Traits.Fills(v.page), "%s is not a multiple of %s in each part of the RAM", pages.Amount(v.ram()), v.page)
	}},
	{"no 1 GiB", [4]int{}, only1GiB, func(v view) string {
		switch {
		case v.cpu.Known && !v.cpu.PDPE1GB:
			return "the processor does not support 1 GiB pages: its flags lack pdpe1gb"
		case !v.has(pages.Size1GiB):
			return "this kernel has no huge pages of 1 GiB" + v.only()
		}
		return when(!v.Traits.Fills(pages.Size1GiB), "%s is not a multiple of 1 GiB in each part of the RAM", pages.Amount(v.ram()))
	}},
	{"1 GiB at hand", [4]int{0, 0, 3, 0}, nil, func(v view) string {
		n := pages.Size1GiB.Ceil(v.reserved())
		return when(v.Traits.Fills(pages.Size1GiB) && v.takes(pages.Size1GiB) && v.free(pages.Size1GiB) >= n, "%d pages of 1 GiB are free, and it needs %d", v.free(pages.Size1GiB), n)
	}},
	{"1 GiB on demand", [4]int{0, 0, 2, 0}, nil, func(v view) string {
		n, free := pages.Size1GiB.Ceil(v.reserved()), v.free(pages.Size1GiB)
		return when(v.Traits.Fills(pages.Size1GiB) && v.takes(pages.Size1GiB) && free < n && free+v.onDemand >= n && v.fits(pages.Size1GiB),
			"the kernel's area for them has room for %d pages of 1 GiB, %d more are free, and it needs %d: moving other memory out of the way makes the start slower", v.onDemand, free, n)
	}},
	{"1 GiB at boot", [4]int{0, 0, -3, 0}, nil, func(v view) string {
		n, free := pages.Size1GiB.Ceil(v.reserved()), v.free(pages.Size1GiB)
		text := when(v.Traits.Fills(pages.Size1GiB) && v.takes(pages.Size1GiB) && free+v.onDemand < n && v.fits(pages.Size1GiB),
			"%d pages of 1 GiB are free, and it needs %d: certain only at boot, with hugepagesz=1G hugepages=%d", free, n, n)
		switch {
		case text != "" && v.areas != nil: // beside it the kernel skips hugepages= of 1 GiB
			text, _, _ = strings.Cut(text, ": certain")
			text += fmt.Sprintf(", and the kernel's area for them, hugetlb_cma=, has room for %d: certain only with a larger one, from the next boot on", v.onDemand)
		case text != "" && v.mem.CMA != nil:
			text += fmt.Sprintf(", or from an area that the kernel sets aside for them, vmhuge prepare --persist --on-demand %dG", n)
		}
		return text
	}},
	{"room", [4]int{}, only1GiB, func(v view) string {
		return when(v.Traits.Fills(pages.Size1GiB) && v.takes(pages.Size1GiB) && !v.fits(pages.Size1GiB), "%d pages of 1 GiB are needed: %d are free, and the pools can grow by %d", pages.Size1GiB.Ceil(v.reserved()), v.free(pages.Size1GiB), v.headroom/int64(pages.Size1GiB))
	}},
	{"page structs", [4]int{}, nil, func(v view) string {
		freed := v.page.Ceil(v.reserved()) * v.page.Structs(v.small)
		return when(v.takes(v.page) && v.structs && v.Traits.Autostart && freed >= 256*pages.MiB,
			"the kernel keeps page structs for reserved pages: for pages that stay reserved it could free %s, vmhuge prepare --persist --free-vmemmap", pages.Amount(freed))
	}},

	// How it starts and where it goes.
	{"start time", [4]int{0, -1, -1, 0}, nil, func(v view) string {
		t := prealloc(v)
		return when(t > 30*time.Second, "a start zeroes %s first, %s on one CPU", pages.Amount(v.ram()), t)
	}},
	{"start time", [4]int{}, nil, func(v view) string {
		t := prealloc(v)
		return when(t <= 30*time.Second, "a start on reserved pages zeroes %s first, %s on one CPU", pages.Amount(v.ram()), t)
	}},
	{"autostart", [4]int{0, 1, 1, 0}, nil, func(v view) string {
		return when(v.Traits.Autostart && v.takes(v.page), "it starts with the host, when memory is not fragmented yet; its %d pages of %s must be allocated before libvirt starts", v.page.Ceil(v.reserved()), v.page)
	}},
	{"migration", [4]int{}, nil, func(v view) string {
		// QEMU migrates no guest with <launchSecurity>, of whatever type.
		return when(v.Traits.VFIO == 0 && v.Traits.Security == "", "a host that it migrates to also needs %s", v.counts(" free pages"))
	}},
}

// guestMemfd says that the guest's private memory is on no pages that could be chosen.
func (v view) guestMemfd() bool {
	return v.Traits.Security == "sev-snp" || v.Traits.Security == "tdx"
}

// private says that the guest's memory is encrypted, or withheld from the host, so that it stays
// where it is.
func (v view) private() bool {
	return v.Traits.Security == "sev" || v.guestMemfd()
}

// pinned says that the RAM can't leave the host's memory on any pages.
func (v view) pinned() bool { return v.Traits.Pinned() || v.private() }

// keepsAll says that the balloon returns nothing: QEMU discards none of the pages that are
// pinned for a device or for SEV (ram_block_discard_disable()).
func (v view) keepsAll() bool { return v.Traits.VFIO > 0 || v.private() }

// foreign says that the guest's KVM takes no reserved pages of a size; "": it does.
func (v view) foreign(size pages.Size) string {
	sizes := pages.HugeSizes(v.Traits.Arch, true)
	if v.Traits.Arch == "" || slices.Contains(sizes, size) {
		return ""
	}
	text := fmt.Sprintf("KVM on %s takes no pages of %s", v.Traits.Arch, size)
	usual, here := v.usual()
	switch {
	case v.Traits.Security == "s390-pv":
	case here:
		text += fmt.Sprintf(": vmhuge enable --size %s gives it reserved ones", pages.SizeWord(usual))
	default:
		text += fmt.Sprintf(", but of %s, and this host has none of these", usual)
	}
	return text
}

// usual is the size of reserved pages that the guest takes unless told otherwise, and whether
// this host has it.
func (v view) usual() (size pages.Size, here bool) {
	own := pages.HugeSizes(v.Traits.Arch, true)
	both := slices.DeleteFunc(v.state.Sizes(), func(s pages.Size) bool { return !slices.Contains(own, s) })
	if len(both) == 0 {
		return pages.Usual(v.Traits.Arch, nil), false
	}
	return pages.Usual(v.Traits.Arch, both), true
}

// takes says that the host has pages of a size, and the guest's KVM takes them.
func (v view) takes(size pages.Size) bool {
	return v.has(size) && (v.Traits.Arch == "" || slices.Contains(pages.HugeSizes(v.Traits.Arch, true), size))
}

// counts is how many pages of each size that the host has and the guest can use hold its
// RAM; of the usual size even where it has none. word is what they are called.
func (v view) counts(word string) string {
	sizes := []pages.Size{v.page, pages.Size1GiB}
	if v.foreign(v.page) != "" {
		sizes[0], _ = v.usual()
	}
	text := ""
	for i, size := range sizes {
		switch n := size.Ceil(v.reserved()); {
		case i == 0:
			text = fmt.Sprintf("%d%s of %s", n, word, size)
		case v.takes(size) && (!v.cpu.Known || v.cpu.PDPE1GB):
			text += fmt.Sprintf(", or %d of %s", n, size)
		}
	}
	return text
}

// only are the sizes that the kernel does have, to end a sentence with.
func (v view) only() string {
	if sizes := v.state.Sizes(); len(sizes) > 0 {
		return ", only of " + pages.JoinSizes(sizes)
	}
	return ""
}

// orOf has the last part of an enumeration begin with "or".
func orOf(counts string) string {
	if strings.Contains(counts, ", or ") {
		return counts
	}
	return "or " + counts
}

// merged is how many bytes KSM saves.
func (v view) merged() int64 { return v.ksm.Sharing * int64(v.small) }

// prealloc is how long one CPU takes to zero the RAM.
func prealloc(v view) time.Duration {
	return time.Duration(float64(v.ram()) / float64(preallocation) * float64(time.Second)).Round(100 * time.Millisecond)
}

// percent is the share of a part, rounded.
func percent(part, whole int64) int64 {
	whole = max(1, whole/pages.KiB)
	return (part/pages.KiB*100 + whole/2) / whole
}

// when is a sentence under a condition.
func when(applies bool, format string, args ...any) string {
	if !applies {
		return ""
	}
	return fmt.Sprintf(format, args...)
}
