package pages

import "slices"

// A kernel is what kernels of one architecture with one size of plain pages
// have of huge pages.
type kernel struct {
	archs []string // as libvirt names the architecture, and Go
	base  Size     // the plain page
	huge  []Size   // of hugetlb, in ascending order
	// usual is the page that one entry of the page table's middle level (PMD)
	// maps: the kernel's own default, the size of transparent huge pages, and
	// one that KVM maps in one piece.
	usual Size
	kvm   []Size // the sizes that KVM takes; nil: all
}

// kernels is the one table of page sizes; of each architecture the commonest
// kernel is first. Source: Documentation/admin-guide/mm/hugetlbpage.rst,
// Documentation/arch/arm64/hugetlbpage.rst, arch_hugetlb_valid_size() of each
// architecture in Linux 6.12; for s390x kvm_s390_set_max_pagesize() of QEMU.
func kernels() []kernel {
	const k, m, g = Size(KiB), Size(MiB), Size(GiB)
	arm := []string{"aarch64", "arm64", "armv7l", "arm"} // 32-bit guests are hosted by 64-bit kernels
	power := []string{"ppc64", "ppc64le", "ppc"}
	mips := []string{"mips64", "mips64el", "mips64le"}
	loong := []string{"loongarch64", "loong64"}
	return []kernel{
		{[]string{"x86_64", "amd64", "i686", "386"}, 4 * k, []Size{2 * m, 1 * g}, 2 * m, nil},
		{[]string{"i686", "386"}, 4 * k, []Size{4 * m}, 4 * m, nil}, // a 32-bit kernel without PAE
		{arm, 4 * k, []Size{64 * k, 2 * m, 32 * m, 1 * g}, 2 * m, nil},
		{arm, 16 * k, []Size{2 * m, 32 * m, 1 * g}, 32 * m, nil},
		{arm, 64 * k, []Size{2 * m, 512 * m, 16 * g}, 512 * m, nil},
		// Of POWER the MMU decides, with plain pages of 4 KiB as well.
		{power, 64 * k, []Size{2 * m, 1 * g}, 2 * m, nil},    // radix: POWER9 and newer
		{power, 64 * k, []Size{16 * m, 16 * g}, 16 * m, nil}, // hash: POWER8
		{power, 4 * k, []Size{2 * m, 1 * g}, 2 * m, nil},
		{power, 4 * k, []Size{16 * m, 16 * g}, 16 * m, nil},
		{[]string{"s390x"}, 4 * k, []Size{1 * m, 2 * g}, 1 * m, []Size{1 * m}},
		{[]string{"riscv64"}, 4 * k, []Size{64 * k, 2 * m, 1 * g}, 2 * m, nil},
		{[]string{"sparc64"}, 8 * k, []Size{64 * k, 8 * m, 256 * m, 2 * g, 16 * g}, 8 * m, nil},
		{mips, 16 * k, []Size{32 * m}, 32 * m, nil},
		{mips, 4 * k, []Size{2 * m}, 2 * m, nil},
		{mips, 64 * k, []Size{512 * m}, 512 * m, nil},
		{loong, 16 * k, []Size{32 * m}, 32 * m, nil},
		{loong, 4 * k, []Size{2 * m}, 2 * m, nil},
		{loong, 64 * k, []Size{512 * m}, 512 * m, nil},
	}
}

// of returns the kernels of an architecture; of one without KVM or huge pages
// of its own, such as "" or alpha, all: its guests run on any host.
func of(arch string) []kernel {
	all, own := kernels(), func(k kernel) bool { return slices.Contains(k.archs, arch) }
	if !slices.ContainsFunc(all, own) {
		return all
	}
	return slices.DeleteFunc(all, func(k kernel) bool { return !own(k) })
}

// HugeSizes returns the sizes that huge pages may have where the kernel is of
// that architecture ("": of any), in ascending order; for a guest of KVM only
// those that KVM takes.
func HugeSizes(arch string, kvm bool) []Size {
	sizes := make([]Size, 0, 16)
	for _, k := range of(arch) {
		if kvm && k.kvm != nil {
			sizes = append(sizes, k.kvm...)
		} else {
			sizes = append(sizes, k.huge...)
		}
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// SameKernel says whether guests of both architectures can be of one kernel, which each
// of them names in libvirt's words or Go's: i686 and amd64.
func SameKernel(arch, other string) bool {
	return slices.ContainsFunc(kernels(), func(k kernel) bool { return slices.Contains(k.archs, arch) && slices.Contains(k.archs, other) })
}

// Usual returns the size of huge pages that a guest takes unless told
// otherwise. have are the sizes that the host's kernel has; nil: not known,
// and the commonest kernel of the architecture decides.
func Usual(arch string, have []Size) Size {
	fits := func(k kernel) bool {
		return slices.Contains(have, k.usual) && !slices.ContainsFunc(have, func(s Size) bool { return !slices.Contains(k.huge, s) })
	}
	best := of(arch)[0]
	for _, k := range of(arch) {
		// Of two that fit, the one without sizes that the host lacks.
		if fits(k) && (!fits(best) || len(k.huge) < len(best.huge)) {
			best = k
		}
	}
	possible := HugeSizes(arch, false)
	own := slices.DeleteFunc(slices.Clone(have), func(s Size) bool { return !slices.Contains(possible, s) })
	elsewhere := len(own) == 0 && arch != "" && slices.ContainsFunc(kernels(), func(k kernel) bool { // a host of another architecture
		return fits(k) && !slices.ContainsFunc(k.archs, func(other string) bool { return SameKernel(arch, other) })
	})
	if len(have) > 0 && !elsewhere && !slices.Contains(have, best.usual) {
		return slices.Min(have)
	}
	return best.usual
}

// Apart says in which way the kernels of an architecture differ that usually have other sizes.
func Apart(arch string) string {
	switch arch {
	case "ppc64", "ppc64le", "ppc":
		return "the hash MMU, as on POWER8,"
	case "i686", "386":
		return "no PAE"
	}
	return "other plain pages"
}

// Usuals returns each size that is usual on a kernel of the architecture, the commonest
// kernel's first.
func Usuals(arch string) []Size {
	var sizes []Size
	for _, k := range of(arch) {
		if !slices.Contains(sizes, k.usual) {
			sizes = append(sizes, k.usual)
		}
	}
	return sizes
}

// Plain says whether pages of that size are the kernel's plain ones, for which
// libvirt takes no huge pages. 64 KiB are huge to an ARM kernel with pages of
// 4 KiB, and plain to one with 64 KiB; then they count as huge.
func Plain(arch string, size Size) bool {
	own := of(arch)
	return slices.ContainsFunc(own, func(k kernel) bool { return k.base == size }) &&
		!slices.ContainsFunc(own, func(k kernel) bool { return slices.Contains(k.huge, size) })
}
