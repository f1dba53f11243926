package host

import (
	"strings"

	"vmhuge/internal/pages"
)

// FreesStructs says whether the kernel frees the page structs of huge pages that are added
// now (hugetlb_free_vmemmap=on, vm.hugetlb_optimize_vmemmap), and whether it can: a kernel
// without CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP can't. It has to find memory for them again
// before it gives up a page.
func (h Host) FreesStructs() (does, can bool, err error) {
	text, err := h.ReadIfThere("/proc/sys/vm/hugetlb_optimize_vmemmap")
	return strings.TrimSpace(text) == "1", text != "", err
}

// StructsFreed is the size of the small pages whose page structs the kernel frees with each
// huge page that is added now; 0: it frees none.
func (h Host) StructsFreed() (small pages.Size, err error) {
	if does, _, err := h.FreesStructs(); err != nil || !does {
		return 0, err
	}
	return h.SmallPage()
}
