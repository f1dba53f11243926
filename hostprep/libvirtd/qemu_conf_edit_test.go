package libvirtd

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep/hosttest"
)

func TestSetMounts(t *testing.T) {
	for _, test := range []struct {
		text   string
		mounts []string
		want   string
	}{
		{"", []string{"/a"}, "hugetlbfs_mount = [\"/a\"]\n"},
		{"", nil, ""},
		{"user = \"x\"", []string{"/a"}, "user = \"x\"\nhugetlbfs_mount = [\"/a\"]\n"},
		{"#hugetlbfs_mount = \"/b\"\r\nuser='x'\r\n", []string{}, "#hugetlbfs_mount = \"/b\"\r\nuser='x'\r\nhugetlbfs_mount = []\n"},
		{"  hugetlbfs_mount=\"\"#no\nuser = 'y'\n", nil, "  #hugetlbfs_mount=\"\"#no\nuser = 'y'\n"},
		{"hugetlbfs_mount = [ # two\n\t'/a',\n\t\"/b\", ] # end\nmax = 3\n", []string{"/c", "/d e"}, "hugetlbfs_mount = [\"/c\", \"/d e\"] # end\nmax = 3\n"},
		{"hugetlbfs_mount = [\n '/a',\n '/b' ]\nmax = 3", nil, "#hugetlbfs_mount = [\n# '/a',\n# '/b' ]\nmax = 3"},
		// libvirt takes the first, and without it the next.
		{"hugetlbfs_mount = ''\nhugetlbfs_mount = '/b'\n", []string{"/a"}, "hugetlbfs_mount = [\"/a\"]\nhugetlbfs_mount = '/b'\n"},
		{"hugetlbfs_mount = ''\nhugetlbfs_mount = '/b'\n", nil, "#hugetlbfs_mount = ''\n#hugetlbfs_mount = '/b'\n"},
	} {
		got, err := SetMounts(test.text, test.mounts)
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%q: %s%v", test.text, diff, err)
		}
	}
	for _, mount := range []string{`/a"b`, "/a\nb"} {
		if got, err := SetMounts("", []string{mount}); err == nil {
			t.Errorf("%q became %q", mount, got)
		}
	}
}

// What an edit gives is read as what was wanted; and what is not the value of
// hugetlbfs_mount is there as before, byte for byte.
func FuzzSetMounts(f *testing.F) {
	hosttest.AddSeeds(f, "etc/libvirt/qemu.conf")
	for _, text := range []string{"", "hugetlbfs_mount = [\n'/a', # x\n\"\"\"b\n\"\"\"]#y\nuser=\"x\"", "hugetlbfs_mount=1\nhugetlbfs_mount=[]\n", "user = 'a'"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		before, err := parseConf(text)
		for _, mounts := range [][]string{nil, {}, {"/dev/hugepages", "/x y"}} {
			got, setErr := SetMounts(text, mounts)
			if err != nil || setErr != nil {
				if err == nil || setErr == nil || got != "" {
					t.Errorf("%q: %v, but %q, %v", text, err, got, setErr)
				}
				continue
			}
			conf, err := ParseQEMUConf(got)
			if err != nil || cmp.Diff(mounts, conf.HugetlbfsMounts) != "" {
				t.Fatalf("%q became %q: %q, %v", text, got, conf.HugetlbfsMounts, err)
			}
			if cmp.Diff(others(t, before, text), others(t, nil, got)) != "" {
				t.Errorf("%q lost something in %q", text, got)
			}
			if again, err := SetMounts(got, mounts); err != nil || again != got {
				t.Errorf("%q became %q, and then %q, %v", text, got, again, err)
			}
			switch i := slices.IndexFunc(before, func(s confSetting) bool { return s.name == "hugetlbfs_mount" }); {
			case mounts == nil:
				if strings.ReplaceAll(got, "#", "") != strings.ReplaceAll(text, "#", "") {
					t.Errorf("%q became %q", text, got)
				}
			case i < 0:
				if !strings.HasPrefix(got, text) {
					t.Errorf("%q became %q", text, got)
				}
			case !strings.HasPrefix(got, text[:before[i].value]) || !strings.HasSuffix(got, text[before[i].end:]):
				t.Errorf("%q became %q", text, got)
			}
		}
	})
}

// others returns the settings of other names, as they are written.
func others(t *testing.T, settings []confSetting, text string) []string {
	t.Helper()
	if settings == nil {
		var err error
		settings, err = parseConf(text)
		hosttest.Must(t, err)
	}
	var all []string
	for _, s := range settings {
		if s.name != "hugetlbfs_mount" {
			all = append(all, text[s.start:s.end])
		}
	}
	return all
}

func TestKeepDefault(t *testing.T) {
	for _, test := range []struct{ mounts, standard, want string }{
		{"", "", ""}, {"a", "a", "a"}, {"a", "b", "a"},
		{"a b", "b", "a b"}, {"a b", "a", "b a"}, {"a b c", "c", "a c b"}, {"b c", "a", "b c"},
	} {
		got := KeepDefault(strings.Fields(test.mounts), test.standard)
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q", test.mounts, got)
		}
	}
}
