package integration

import (
	"os"
	"strings"
	"testing"
)

// TestSavedState damages the saved state of a guest. What libvirt discards is no obstacle;
// what it can't read is named as that.
func TestSavedState(t *testing.T) {
	for name, test := range map[string]struct {
		damage     func(file string) error
		code       int
		check, err string // what check says, and why start fails, if it does
	}{
		"whole":      {func(string) error { return nil }, 0, "a saved state, which resumes with the XML it was saved with: on hugetlb", ""},
		"unfinished": {overwritten("LibvirtQemudPart"), 0, "", ""},
		"cut off":    {func(file string) error { return os.Truncate(file, 50) }, 0, "", ""},
		"not one":    {overwritten("LibvirtQemudXXXX"), 3, "reading the saved state of vmhuge-test-SavedState-", "image magic is incorrect; virsh managedsave-remove discards it"},
	} {
		t.Run(name, func(t *testing.T) {
			hostAsBefore(t)
			setPages(t, 0, size2M, 32)
			dom := define(t, guest{name: guestPrefix + "SavedState-" + strings.ReplaceAll(name, " ", ""), backing: pages2M})
			startPaused(t, dom)
			if err := dom.ManagedSave(0); err != nil {
				t.Fatal(err)
			}
			if err := test.damage("/var/lib/libvirt/qemu/save/" + nameOf(t, dom) + ".save"); err != nil {
				t.Fatal(err)
			}
			if r := vmhuge(t, "check", nameOf(t, dom)); r.Code != test.code || !strings.Contains(r.Stdout, test.check) {
				t.Errorf("check: %d, %s", r.Code, r.Stdout)
			}
			r := vmhuge(t, "start", "--paused", nameOf(t, dom))
			if test.err == "" {
				if r.Code != 0 || pagesOf(t, pidOf(t, dom))[size2M] != 32 {
					t.Errorf("start: %d, %s", r.Code, r.Stderr)
				}
				done(t, "stop", "--force", "--timeout", "0s", nameOf(t, dom))
			} else if r.Code != 1 || !strings.Contains(r.Stderr, test.err) || strings.Contains(r.Stderr, "before it was enabled") {
				t.Errorf("start: %d, %s", r.Code, r.Stderr)
			}
		})
	}
}

// overwritten puts words in the place of the first bytes of a file.
func overwritten(words string) func(file string) error {
	return func(file string) error {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteAt([]byte(words), 0)
		return err
	}
}
