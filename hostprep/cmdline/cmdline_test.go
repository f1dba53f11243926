package cmdline

import "testing"

// Entries are any .conf, so a form behind them would not be found.
func TestEntriesComeLast(t *testing.T) {
	for i, f := range forms {
		if f.together != (i == len(forms)-1) {
			t.Errorf("the form of %s is number %d of %d", f.example, i+1, len(forms))
		}
	}
}
