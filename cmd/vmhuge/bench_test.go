package main

import (
	"strings"
	"testing"

	"vmhuge/bench"
	"vmhuge/internal/pages"
	"vmhuge/picture"
)

func TestBenchLines(t *testing.T) {
	m := &bench.Measurement{Memory: pages.GiB, Results: []bench.Result{
		{Pages: bench.Small, PageSize: 4096, Nanoseconds: 120, Ratio: 1, OnPages: 100},
		{Pages: bench.THP, PageSize: pages.Size2MiB, Nanoseconds: 100, Ratio: 1.2, OnPages: 99.8},
		{Pages: bench.Hugetlb, PageSize: pages.Size2MiB, Nanoseconds: 12345.6, Ratio: 12.5, OnPages: 100},
		{Pages: bench.Hugetlb, PageSize: pages.Size2MiB, Nanoseconds: 240, Ratio: 0.5, OnPages: 100},
		{Pages: bench.Hugetlb, PageSize: pages.Size1GiB, Reason: "the kernel has no such pages"},
	}}
	var lines []string
	for i := range m.Results {
		lines = append(lines, benchLine(m, picture.Style{Width: 80, UTF8: true}, i))
	}
	want := `random reads of a buffer of 1 GiB, each after the last; less is better
4 KiB    120.0 ns  ` + strings.Repeat("█", 38) + `
THP      100.0 ns  ` + strings.Repeat("█", 32) + `        1.20 times as fast
       with 99.8 % of the buffer on such pages
2 MiB  12345.6 ns  ███                                     12.50 times as fast
2 MiB    240.0 ns  ` + strings.Repeat("█", 38) + `  0.50 times as fast
1 GiB  not measured: the kernel has no such pages`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
	for line := range strings.Lines(want) {
		if n := len([]rune(strings.TrimSpace(line))); n > 80 {
			t.Errorf("%d wide: %s", n, line)
		}
	}
}
