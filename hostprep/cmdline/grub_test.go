package cmdline

import (
	"strings"
	"testing"
)

// GRUB writes into the blocks of grubenv, whose size must stay.
func TestGrubenvKeepsItsSize(t *testing.T) {
	text := "# GRUB Environment Block\nkernelopts=ro\n" + strings.Repeat("#", 60)
	edited, err := PutIn("/boot/grub2/grubenv", text, "hugepages=1")
	if err != nil || len(edited) != len(text) || !strings.Contains(edited, "kernelopts=ro vmhuge.begin hugepages=1 vmhuge.end\n#") {
		t.Errorf("%q, %v", edited, err)
	}
	if back, err := PutIn("/boot/grub2/grubenv", edited, ""); err != nil || back != text {
		t.Errorf("%q, %v", back, err)
	}
	if edited, err := PutIn("/boot/grub2/grubenv", text, strings.Repeat("x", 60)); err == nil {
		t.Errorf("got %q", edited)
	}
}

func TestGrubLine(t *testing.T) {
	for text, want := range map[string]string{
		"GRUB_CMDLINE_LINUX=quiet\n":                                                          "quiet",
		"GRUB_CMDLINE_LINUX=\"a\"\nGRUB_CMDLINE_LINUX_DEFAULT='b c'\n":                        "a b c",
		"GRUB_CMDLINE_LINUX=\"a\"\nGRUB_CMDLINE_LINUX=\"${GRUB_CMDLINE_LINUX} b\"\n":          "a b",
		"GRUB_CMDLINE_LINUX=\"a\"\nGRUB_CMDLINE_LINUX+=\" b\"\n":                              "a b",
		"X=1 # no\nexport GRUB_CMDLINE_LINUX=\"a=\\\"b c\\\" $X\"\n":                          `a="b c" 1`,
		"GRUB_CMDLINE_LINUX='$X'\n#GRUB_CMDLINE_LINUX=x\n":                                    "$X",
		"GRUB_CMDLINE_LINUX=\"a \\\nb\"\n":                                                    "a b",
		"GRUB_CMDLINE_LINUX=\"`x` hugepages=1\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"$(echo $X)\"\n": "`x` hugepages=1 $(echo $X)",
	} {
		if got := GrubLine([]File{{Text: text}}); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
