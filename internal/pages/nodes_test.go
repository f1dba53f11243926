package pages

import "testing"

func TestNodes(t *testing.T) {
	for list, want := range map[string]string{
		"0": "0", "0-1,3": "0-1,3", "3,0,1": "0-1,3", "0-3,^2": "0-1,3", "0-3,^2\n": "0-1,3", " 1 , 1 ": "1", "0-2,^0-1": "-",
		"": "-", "a": "-", "-1": "-", "2-1": "-", "0,": "-", "^": "-", "99999": "-",
	} {
		nodes, err := ParseNodes(list)
		got := FormatNodes(nodes)
		if err != nil {
			got = "-"
		}
		if got != want {
			t.Errorf("ParseNodes(%q) = %s, want %s", list, got, want)
		}
	}
}

func FuzzParseNodes(f *testing.F) {
	f.Add("0-3,^2")
	f.Fuzz(func(t *testing.T, list string) {
		nodes, err := ParseNodes(list)
		if err != nil || len(nodes) == 0 {
			return
		}
		again, err := ParseNodes(FormatNodes(nodes))
		if err != nil || FormatNodes(again) != FormatNodes(nodes) {
			t.Errorf("%q became %v, then %v, %v", list, nodes, again, err)
		}
	})
}
