package pages

import (
	"fmt"
	"strconv"
	"strings"
)

// ParsePercent reads 95%, or 95.
func ParsePercent(text string) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(n >= 0 && n <= 100) {
		return 0, fmt.Errorf("%q is not a percentage", text)
	}
	return n, nil
}
