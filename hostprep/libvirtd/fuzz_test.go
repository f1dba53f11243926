package libvirtd

import (
	"strings"
	"testing"

	"vmhuge/hostprep/hosttest"
)

func FuzzBootTime(f *testing.F) {
	hosttest.AddSeeds(f, "proc/stat")
	f.Fuzz(func(t *testing.T, text string) {
		if boot, err := parseBootTime(strings.NewReader(text)); err == nil && !strings.Contains(text, "btime") {
			t.Errorf("%v", boot)
		}
	})
}

func FuzzQEMUConf(f *testing.F) {
	f.Add("# x\nuser = \"qemu\"\ngroup='kvm' # y\nnum = -1\nhugetlbfs_mount = [\n \"/dev/hugepages\", # a\n \"/dev/hugepages1G\",\n]\n")
	f.Add("a = \"\"\"b\nc\"\"\"\nhugetlbfs_mount = \"\"\nuser = [\"a\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		conf, err := ParseQEMUConf(text)
		if err != nil {
			return
		}
		for _, value := range append([]string{conf.User, conf.Group}, conf.HugetlbfsMounts...) {
			if !strings.Contains(text, value) {
				t.Errorf("%q came of nothing", value)
			}
		}
	})
}
