package host

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const twoGuestsMaps = `
55a0c0000000-55a0c0200000 r-xp 00000000 fe:00 1234                       /usr/bin/qemu-system-x86_64
7f2a40000000-7f2a44000000 rw-p 00000000 00:5a 41530                      /dev/hugepages/libvirt/qemu/1-a/qemu_back_mem.pc.ram.HQ2nHZ (deleted)
7f2a44000000-7f2a44200000 rw-p 04000000 00:5a 41530                      /dev/hugepages/libvirt/qemu/1-a/qemu_back_mem.pc.ram.HQ2nHZ (deleted)
7f2a50000000-7f2a50400000 rw-s 00000000 00:5a 41531                      /dev/hugepages/libvirt/qemu/1-b c/qemu_back_mem.pc.ram.aaaaaa (deleted)
7f2a60000000-7f2a60400000 rw-s 00000000 00:5a 41532                      /dev/hugepages/named
7f2a70000000-7f2a70400000 rw-s 00000000 00:0f 41530                      /memfd:ram (deleted)
7ffc1d5c0000-7ffc1d5e1000 rw-p 00000000 00:00 0                          [stack]
7f2a80000000-7f2a
`

func TestParseMaps(t *testing.T) {
	want := map[string]int64{"41530": 66 << 20, "41531": 4 << 20}
	if diff := cmp.Diff(want, parseMaps(strings.NewReader(twoGuestsMaps), "00:5a")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func FuzzMaps(f *testing.F) {
	f.Add(twoGuestsMaps)
	f.Add("1-7fffffffffffffff rw-p 3fffffffffffffff 00:5a 1 a (deleted)")
	f.Fuzz(func(t *testing.T, text string) {
		for inode, end := range parseMaps(strings.NewReader(text), "00:5a") {
			if end <= 0 || !strings.Contains(text, inode) {
				t.Errorf("file %s is mapped up to %d", inode, end)
			}
		}
	})
}
