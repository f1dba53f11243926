package pages

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// docs/questions.md has the commonest rows of the table.
func TestDocumentedSizes(t *testing.T) {
	text, err := os.ReadFile("../../docs/questions.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"x86_64", "aarch64", "ppc64", "s390x", "riscv64"} {
		for _, k := range of(arch) {
			row := fmt.Sprintf(" | %s | %s | %s", k.base, k.usual, JoinSizes(k.huge))
			documented := slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool {
				return strings.HasPrefix(line, "| "+arch) && strings.Contains(line, row)
			})
			if !documented && (arch != "ppc64" || k.base != Size(4*KiB)) {
				t.Errorf("docs/questions.md has no row of %s with %q", arch, row)
			}
		}
	}
}

func TestUsual(t *testing.T) {
	k, m, g := Size(KiB), Size(MiB), Size(GiB)
	for _, test := range []struct {
		arch string
		have []Size
		want Size
	}{
		{"x86_64", nil, 2 * m}, {"i686", nil, 2 * m}, {"amd64", nil, 2 * m}, {"", nil, 2 * m},
		{"aarch64", nil, 2 * m}, {"s390x", nil, m}, {"ppc64le", nil, 2 * m}, {"riscv64", nil, 2 * m}, {"loongarch64", nil, 32 * m},
		{"x86_64", []Size{2 * m}, 2 * m}, {"x86_64", []Size{2 * m, g}, 2 * m},
		{"aarch64", []Size{64 * k, 2 * m, 32 * m, g}, 2 * m},
		{"aarch64", []Size{2 * m, 32 * m, g}, 32 * m},
		{"aarch64", []Size{2 * m, 512 * m, 16 * g}, 512 * m},
		{"ppc64le", []Size{2 * m, g}, 2 * m}, {"ppc64le", []Size{16 * m, 16 * g}, 16 * m}, {"ppc64le", []Size{16 * m}, 16 * m}, {"ppc64le", []Size{2 * m}, 2 * m},
		{"s390x", []Size{m, 2 * g}, m}, {"s390x", []Size{m}, m},
		{"loongarch64", []Size{512 * m}, 512 * m},
		// A TCG guest's memory is on the host's pages, whatever its own architecture.
		{"", []Size{m, 2 * g}, m}, {"", []Size{2 * m, 512 * m, 16 * g}, 512 * m}, {"alpha", []Size{2 * m, g}, 2 * m},
		// The host is of another architecture.
		{"s390x", []Size{2 * m, g}, m}, {"x86_64", []Size{m, 2 * g}, 2 * m}, {"sparc64", []Size{2 * m, g}, 8 * m},
		// Sizes that no row has: the smallest of them.
		{"x86_64", []Size{4 * m}, 4 * m}, {"sparc64", nil, 8 * m}, {"mips64el", nil, 32 * m},
	} {
		if got := Usual(test.arch, test.have); got != test.want {
			t.Errorf("%s with %v: %s, want %s", test.arch, test.have, got, test.want)
		}
	}
}

func TestHugeSizes(t *testing.T) {
	k, m, g := Size(KiB), Size(MiB), Size(GiB)
	for _, test := range []struct {
		arch string
		kvm  bool
		want []Size
	}{
		{"x86_64", true, []Size{2 * m, g}},
		{"aarch64", true, []Size{64 * k, 2 * m, 32 * m, 512 * m, g, 16 * g}},
		{"s390x", true, []Size{m}}, {"s390x", false, []Size{m, 2 * g}},
		{"ppc64", true, []Size{2 * m, 16 * m, g, 16 * g}},
	} {
		if got := HugeSizes(test.arch, test.kvm); !slices.Equal(got, test.want) {
			t.Errorf("%s, KVM %v: %v, want %v", test.arch, test.kvm, got, test.want)
		}
	}
	if all := HugeSizes("", true); !slices.Contains(all, m) || !slices.Contains(all, 16*g) || slices.Contains(all, 128*m) {
		t.Errorf("all sizes are %v", all)
	}
}

func TestKernelOfGuest(t *testing.T) {
	for _, pair := range [][2]string{{"x86_64", "amd64"}, {"i686", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "arm64"}, {"ppc64le", "ppc64le"}, {"loongarch64", "loong64"}} {
		if !SameKernel(pair[0], pair[1]) {
			t.Errorf("%v have a kernel each", pair)
		}
	}
	for _, pair := range [][2]string{{"aarch64", "amd64"}, {"", ""}, {"", "amd64"}, {"alpha", "alpha"}, {"s390x", ""}} {
		if SameKernel(pair[0], pair[1]) {
			t.Errorf("%v have one kernel", pair)
		}
	}
	m := Size(MiB)
	for arch, want := range map[string][]Size{"x86_64": {2 * m}, "aarch64": {2 * m, 32 * m, 512 * m}, "ppc64le": {2 * m, 16 * m}, "s390x": {m}, "i686": {2 * m, 4 * m}} {
		if got := Usuals(arch); !slices.Equal(got, want) {
			t.Errorf("usual on %s are %v, not %v", arch, got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	for size, want := range map[Size]bool{Size(4 * KiB): true, Size(64 * KiB): true, Size2MiB: false} {
		if Plain("ppc64le", size) != want {
			t.Errorf("%s on ppc64le: plain is not %v", size, want)
		}
	}
	if Plain("x86_64", Size(64*KiB)) || Plain("aarch64", Size(64*KiB)) || !Plain("aarch64", Size(16*KiB)) || !Plain("", Size(4*KiB)) {
		t.Error("64 KiB are nothing to x86, and huge to some kernels of ARM")
	}
}

// The table itself: ascending, the usual size among them, and all powers of two.
func TestKernels(t *testing.T) {
	for _, k := range kernels() {
		if !slices.IsSorted(k.huge) || !slices.Contains(k.huge, k.usual) || slices.Contains(k.huge, k.base) {
			t.Errorf("%v with pages of %s: %v, usually %s", k.archs, k.base, k.huge, k.usual)
		}
		for _, s := range k.huge {
			if s&(s-1) != 0 || s <= k.base {
				t.Errorf("%v: %s", k.archs, s)
			}
		}
	}
}
