package prepare

import (
	"testing"
)

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
