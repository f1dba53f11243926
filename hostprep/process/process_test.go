package process

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/hostfs"
)

const someStat = "S 1 4242 4242 0 -1 4194624 12 0 0 0 0 0 0 0 20 0 1 0 88123 1000 200\n"

func TestParseStatStart(t *testing.T) {
	for _, name := range []string{"libvirtd", "CPU 0/KVM", "qemu-system (x)", ") S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20", "", "a\nb"} {
		if start, err := parseStatStart("4242 (" + name + ") " + someStat); err != nil || start != 88123 {
			t.Errorf("%q: %d, %v", name, start, err)
		}
	}
	for _, text := range []string{"", "4242 (x)", "4242 (x " + someStat, "4242 (x) S 1 2", strings.Replace("4242 (x) "+someStat, "88123", "-1", 1)} {
		if start, err := parseStatStart(text); err == nil {
			t.Errorf("%q: %d", text, start)
		}
	}
}

func TestCmdlineUUID(t *testing.T) {
	for cmdline, want := range map[string]string{
		"/usr/bin/qemu-system-x86_64 -name guest=a -uuid 1234 -m 1": "1234",
		"qemu-kvm -uuid 1234":               "1234",
		"/usr/bin/kvm -uuid 1234":           "1234",
		"/usr/bin/kvm-ok -uuid 1234":        "",
		"/usr/bin/qemu-img -uuid":           "",
		"-uuid 1234":                        "",
		"vim qemu -uuid 1234":               "",
		"/opt/qemu/bin/other -uuid 1234":    "",
		"/usr/bin/qemu-system-x86_64 -m -1": "",
		"":                                  "", // a kernel thread or a zombie
	} {
		if got := cmdlineUUID([]byte(strings.ReplaceAll(cmdline, " ", "\x00") + "\x00")); got != want {
			t.Errorf("%q: %q, not %q", cmdline, got, want)
		}
	}
}

const (
	web1 = "6695eb01-f6a4-8304-79aa-97f2502e193f"
	db1  = "0cb4f2f2-5d2c-4f5e-8a31-6a0b6c5f8a11"
)

func TestFindGuests(t *testing.T) {
	root := fixture(t, qemu(700, web1), qemu(800, db1), stat(900, 5), `
-- proc/900/cmdline --
/usr/bin/vim
-uuid
x
-- proc/901/cmdline --
-- proc/902/comm --
gone while we looked
-- proc/903/cmdline --
/usr/bin/qemu-system-x86_64
-uuid
its stat is gone
-- proc/self/cmdline --
/usr/bin/qemu-system-x86_64
-uuid
not a pid
`)
	guests, err := FindGuests(root)
	must(t, err)
	if diff := cmp.Diff(map[string]Process{web1: {700, 88}, db1: {800, 88}}, guests); diff != "" {
		t.Error(diff)
	}
	if _, err := FindGuests(hostfs.Root(t.TempDir())); !os.IsNotExist(err) {
		t.Errorf("without /proc: %v", err)
	}
}

func TestAlive(t *testing.T) {
	root := fixture(t, stat(700, 88))
	for p, want := range map[Process]bool{
		{700, 88}: true,
		{700, 87}: false, // its pid is another's now
		{701, 88}: false,
		{}:        false,
	} {
		if p.Alive(root) != want {
			t.Errorf("%v: %v", p, !want)
		}
	}
}
