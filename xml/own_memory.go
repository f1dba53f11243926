package xml

import (
	"fmt"
	"slices"
	"strings"
)

// ownMemory is about options in <qemu:commandline> for the guest's RAM. What they take from
// the pools is in no demand, and QEMU refuses some beside libvirt's own.
func ownMemory(d *document) string {
	ram := d.ramBackends()
	var found []string
	for option, value := range d.options() {
		switch fields := optionFields(option, value); {
		case option == "-mem-prealloc" || option == "-mem-path" || option == "-m":
			found = append(found, option)
		case isMemoryBackend(option, fields) && slices.Contains(ram, fields["id"]):
			found = append(found, option+" "+fields["qom-type"])
		case option == "-numa" && fields["memdev"] != "":
			found = append(found, option+" …,memdev=")
		case (option == "-machine" || option == "-M") && fields["memory-backend"] != "":
			found = append(found, option+" …,memory-backend=")
		}
	}
	if found == nil {
		return ""
	}
	return fmt.Sprintf("its <qemu:commandline> has memory options of its own (%s): libvirt hands them to QEMU as they are, and vmhuge neither counts nor changes them; take them out and let <memoryBacking> say it", strings.Join(found, ", "))
}

// deviceMemory is about memory in <qemu:commandline> that is a device's, such as that of
// ivshmem or an NVDIMM, and on huge pages. On other memory it is no matter of ours.
func deviceMemory(d *document) string {
	ram := d.ramBackends()
	var found []string
	for option, value := range d.options() {
		fields := optionFields(option, value)
		if isMemoryBackend(option, fields) && !slices.Contains(ram, fields["id"]) && (strings.Contains(fields["mem-path"], "huge") || isOn(fields["hugetlb"])) {
			found = append(found, strings.TrimSpace(fields["size"]+" of "+fields["id"]))
		}
	}
	if found == nil {
		return ""
	}
	return fmt.Sprintf("its <qemu:commandline> has devices with huge pages of their own (%s), which vmhuge does not count: the guest needs those pages besides", strings.Join(found, ", "))
}

// ramBackends are the IDs of the memory objects that options in <qemu:commandline> make the
// guest's RAM.
func (d *document) ramBackends() (ids []string) {
	for option, value := range d.options() {
		switch fields := optionFields(option, value); option {
		case "-machine", "-M":
			ids = append(ids, fields["memory-backend"])
		case "-numa":
			ids = append(ids, fields["memdev"])
		}
	}
	return ids
}

func isMemoryBackend(option string, fields map[string]string) bool {
	return option == "-object" && strings.HasPrefix(fields["qom-type"], "memory-backend-")
}

func isOn(value string) bool { return slices.Contains([]string{"on", "true", "yes", "y"}, value) }
