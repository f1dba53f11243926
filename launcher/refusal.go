package launcher

import (
	"errors"
	"strings"

	"libvirt.org/go/libvirt"

	"vmhuge/internal/advice"
)

// refusals is the one place where the words of libvirt and QEMU are matched:
// the first row whose words all stand in the message explains it.
var refusals = []struct {
	words []string
	kind  advice.Kind
	do    string
}{
	{[]string{"Cannot allocate memory"}, advice.NoMemory, "too few free huge pages: vmhuge check names the pool that is short"},
	{[]string{"preallocating memory failed"}, advice.NoMemory, "too few free huge pages on a node that the guest is bound to: vmhuge check names it"},
	{[]string{"Insufficient free host memory pages"}, advice.NoMemory, "too few free huge pages: vmhuge check names the pool that is short"},
	{[]string{"backing store", "Permission denied"}, advice.Failed, "QEMU's user can't enter the hugetlbfs folder: vmhuge check names it"},
	{[]string{"hugetlbfs filesystem is not mounted"}, advice.Failed, "libvirtd knows no hugetlbfs mount: mount it and restart libvirtd, or vmhuge enable --source memfd"},
	{[]string{"usable hugetlbfs mount"}, advice.Failed, "mount hugetlbfs with that page size and restart libvirtd, or vmhuge enable --source memfd"},
	{[]string{"Unable to create", "No space left on device"}, advice.Failed, "the hugetlbfs mount has no free inodes: remount it with a larger nr_inodes"},
	{[]string{"NUMA node", "unavailable"}, advice.Failed, "correct the nodeset in <numatune>"},
	{[]string{"must be equal to or larger than page size"}, advice.Failed, "the guest is smaller than one page: use a smaller page size"},
	{[]string{"memory size must be multiple of"}, advice.Failed, "run vmhuge enable --round"},
	{[]string{"failed to resize memfd"}, advice.Failed, "run vmhuge enable --round"},
	{[]string{"Could not access KVM kernel module"}, advice.Failed, "load kvm_intel or kvm_amd, and let QEMU's user open /dev/kvm"},
	{[]string{"Failed to query numad"}, advice.Failed, "install numad, or give <numatune> a nodeset"},
	{[]string{"Hook script execution failed"}, advice.Failed, "a hook in /etc/libvirt/hooks refused the start; its own words are above"},
}

const runAsRoot = "run as root, or join the group libvirt"

// refused turns an error of libvirt into one that a user can act on.
func refused(err error, what string) error {
	var e libvirt.Error
	if !errors.As(err, &e) {
		return advice.Wrap(err, what, "")
	}
	r := &advice.Error{What: what, Why: strings.TrimSpace(e.Message), Err: err}
	switch {
	case e.Code == libvirt.ERR_NO_DOMAIN:
		r.Why, r.Do = "there is no such domain", "virsh list --all names them"
	case strings.Contains(e.Message, "Failed to connect socket") && strings.Contains(e.Message, "Permission denied"),
		e.Code == libvirt.ERR_AUTH_UNAVAILABLE, e.Code == libvirt.ERR_AUTH_CANCELLED, e.Code == libvirt.ERR_AUTH_FAILED:
		r.Do = runAsRoot
	case strings.Contains(e.Message, "Failed to connect socket"):
		r.Do = "start libvirt: systemctl start libvirtd (or virtqemud.socket)"
	case e.Code == libvirt.ERR_OPERATION_DENIED, e.Code == libvirt.ERR_ACCESS_DENIED:
		r.Do = "run as root"
	default:
		for _, row := range refusals {
			if containsAll(e.Message, row.words) {
				r.Kind, r.Do = row.kind, row.do
				break
			}
		}
	}
	return r
}

func containsAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
