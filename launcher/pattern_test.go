package launcher

import (
	"slices"
	"testing"
)

func TestPatterns(t *testing.T) {
	all := []string{"db1", "odd*", "odder", "web1", "web2", "web[1"}
	for _, test := range []struct{ names, want []string }{
		{[]string{"web1"}, []string{"web1"}},
		{[]string{"web1", "web1"}, []string{"web1", "web1"}}, // named twice, as before
		{[]string{"web?"}, []string{"web1", "web2"}},
		{[]string{"web*"}, []string{"web1", "web2", "web[1"}},
		{[]string{"web[12]", "db1"}, []string{"web1", "web2", "db1"}},
		{[]string{"web2", "web?"}, []string{"web2", "web1"}}, // each once
		{[]string{"w*", "*1"}, []string{"web1", "web2", "web[1", "db1"}},
		{[]string{"odd*"}, []string{"odd*"}},   // a domain's own name
		{[]string{"web[1"}, []string{"web[1"}}, // no pattern, but a name
		{[]string{"mail*", "db1"}, []string{"mail*", "db1"}},
		{[]string{"db[1"}, []string{"db[1"}},
		{[]string{"*b1"}, []string{"db1", "web1"}},
		{[]string{`odd\*`}, []string{"odd*"}},
		{nil, nil},
	} {
		if got := expand(test.names, all); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, not %q", test.names, got, test.want)
		}
	}
}
