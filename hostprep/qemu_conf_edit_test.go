package hostprep

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		got, err := setMounts(test.text, test.mounts)
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%q: %s%v", test.text, diff, err)
		}
	}
	for _, mount := range []string{`/a"b`, "/a\nb"} {
		if got, err := setMounts("", []string{mount}); err == nil {
			t.Errorf("%q became %q", mount, got)
		}
	}
}

// What an edit gives is read as what was wanted; and what is not the value of
// hugetlbfs_mount is there as before, byte for byte.
func FuzzSetMounts(f *testing.F) {
	addFixtures(f, "etc/libvirt/qemu.conf")
	for _, text := range []string{"", "hugetlbfs_mount = [\n'/a', # x\n\"\"\"b\n\"\"\"]#y\nuser=\"x\"", "hugetlbfs_mount=1\nhugetlbfs_mount=[]\n", "user = 'a'"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		before, err := parseConf(text)
		for _, mounts := range [][]string{nil, {}, {"/dev/hugepages", "/x y"}} {
			got, setErr := setMounts(text, mounts)
			if err != nil || setErr != nil {
				if err == nil || setErr == nil || got != "" {
					t.Errorf("%q: %v, but %q, %v", text, err, got, setErr)
				}
				continue
			}
			conf, err := parseQEMUConf(strings.NewReader(got))
			if err != nil || cmp.Diff(mounts, conf.HugetlbfsMounts) != "" {
				t.Fatalf("%q became %q: %q, %v", text, got, conf.HugetlbfsMounts, err)
			}
			if cmp.Diff(others(t, before, text), others(t, nil, got)) != "" {
				t.Errorf("%q lost something in %q", text, got)
			}
			if again, err := setMounts(got, mounts); err != nil || again != got {
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
		must(t, err)
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
		got := keepDefault(strings.Fields(test.mounts), test.standard)
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q", test.mounts, got)
		}
	}
}

func TestSetShellVariable(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "V=1\n",
		"#V=0\nKSM=1":                  "#V=0\nKSM=1\nV=1\n",
		"V=1\n":                        "V=1\n",
		"V=\"1\" # so\n":               "V=\"1\" # so\n",
		"V=0\n  V=0 # last\nW=2\n":     "V=0\n  V=1 # last\nW=2\n",
		"V=1\nV=0\r\n":                 "V=1\nV=1\r\n",
		"OTHER_V=0\nV='0';W=1\n#V=1\n": "OTHER_V=0\nV=1;W=1\n#V=1\n",
	} {
		if got := setShellVariable(text, "V", "1"); got != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
}
