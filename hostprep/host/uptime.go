package host

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Uptime reads how long the host is up from /proc/uptime.
func (h Host) Uptime() (time.Duration, error) {
	text, err := h.Root.Read("proc", "uptime")
	if err != nil {
		return 0, err
	}
	return parseUptime(text)
}

// parseUptime reads the first of the two numbers, seconds:
//
//	3234.83 4113.62
func parseUptime(text string) (time.Duration, error) {
	first, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	whole, _, _ := strings.Cut(first, ".")
	seconds, err := strconv.ParseUint(whole, 10, 33)
	if err != nil {
		return 0, fmt.Errorf("uptime: %q is not a time", text)
	}
	return time.Duration(seconds) * time.Second, nil
}
