package sysctl

import "strings"

// HugePageSettings are the kernel's settings below /proc/sys that are about huge pages.
var HugePageSettings = []string{"vm.nr_hugepages", "vm.nr_hugepages_mempolicy", "vm.nr_overcommit_hugepages", "vm.hugetlb_shm_group", "vm.hugetlb_optimize_vmemmap", "vm.movable_gigantic_pages"}

// Parse reads a line of a file; ok: it is a setting.
//
//	# comment
//	vm.nr_hugepages = 512
//	-vm/nr_overcommit_hugepages=16
//
// With a - sysctl ignores a failure; / may be written for the dots.
func Parse(line string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(strings.TrimSpace(line), "=")
	if !ok || IsComment(name) {
		return "", "", false
	}
	return strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(name), "-"), "/", "."), strings.TrimSpace(value), true
}

func IsComment(line string) bool { return strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") }
