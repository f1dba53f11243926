package xmldiff

import "testing"

func TestUnified(t *testing.T) {
	before := "<domain>\n <graphics type='vnc' passwd='one'/>\n <memory/>\n</domain>\n"
	after := "<domain>\n <graphics type='vnc' passwd=\"t&amp;wo\"/>\n <memory/>\n</domain>\n"
	want := "--- a\n+++ b\n@@ -1,4 +1,4 @@\n <domain>\n- <graphics type='vnc' passwd='***'/>\n+ <graphics type='vnc' passwd='***'/>\n  <memory/>\n </domain>\n"
	if got := Unified("a", []byte(before), "b", []byte(after)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Unified("a", []byte(before), "b", []byte(before)); got != "" {
		t.Errorf("the same differs by\n%s", got)
	}
}
