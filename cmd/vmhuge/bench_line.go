package main

import (
	"fmt"
	"strings"

	"vmhuge/bench"
	"vmhuge/internal/pages"
	"vmhuge/picture"
)

// benchLine is a result with a bar as long as an access takes, beside that of small
// pages.
func benchLine(m *bench.Measurement, style picture.Style, i int) string {
	r, title := m.Results[i], ""
	if i == 0 {
		title = fmt.Sprintf("random reads of a buffer of %s, each after the last; less is better\n", pages.FormatBytes(m.Memory))
	}
	name := r.PageSize.String()
	if r.Pages == bench.THP {
		name = "THP"
	}
	if r.Nanoseconds == 0 {
		return fmt.Sprintf("%s%-6s not measured: %s", title, name, oneLine(r.Reason))
	}
	longest := max(8, style.Width-42)
	length, ratio := longest, ""
	if r.Ratio > 0 && i > 0 {
		length = min(longest, max(1, int(float64(longest)/r.Ratio+0.5)))
		ratio = fmt.Sprintf("  %.2f times as fast", r.Ratio)
	}
	colour := picture.Cyan
	if i > 0 && r.Ratio > 1 {
		colour = picture.Green
	}
	bar := style.Paint(colour, style.Plain().Bar(longest, int64(longest), picture.Amount{Part: picture.Used, N: int64(length)}))
	text := fmt.Sprintf("%s%-6s %7.1f ns  %s%s", title, name, r.Nanoseconds, bar, ratio)
	if r.OnPages < 100 {
		text += fmt.Sprintf("\n       with %.1f %% of the buffer on such pages", r.OnPages)
	}
	return strings.TrimRight(text, " ")
}
