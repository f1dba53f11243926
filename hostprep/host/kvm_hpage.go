package host

import (
	"fmt"
	"strings"

	"vmhuge/internal/pages"
)

// KVMHPage are the parameters of KVM's module on s390x that decide whether its guests may
// be on huge pages. No other architecture has an hpage.
//
// Source: kvm_s390_init() and KVM_CAP_S390_HPAGE_1M of arch/s390/kvm/kvm-s390.c.
type KVMHPage struct {
	Known  bool // the module is loaded, and has the parameter
	On     bool
	Nested bool // nested=1, which before Linux 7.0 excludes hpage=1
}

// KVMHPage reads /sys/module/kvm/parameters.
func (h Host) KVMHPage() (k KVMHPage, err error) {
	parameter := func(name string) (there, on bool) {
		text, readErr := h.ReadIfThere("/sys/module/kvm/parameters/" + name)
		if readErr != nil {
			err = readErr
		}
		text = strings.TrimSpace(text)
		return text != "", text != "" && text != "0" && text != "N"
	}
	k.Known, k.On = parameter("hpage")
	_, k.Nested = parameter("nested")
	return k, err
}

// Refuses says why KVM takes no guest on pages of a size; "": it does.
func (k KVMHPage) Refuses(size pages.Size) string {
	switch {
	case !k.Known:
		return ""
	case size != pages.Size(pages.MiB): // kvm_s390_set_max_pagesize() of QEMU
		return fmt.Sprintf("KVM on s390x takes no pages of %s", size)
	case !k.On:
		return "the module kvm was loaded without hpage=1"
	}
	return ""
}
