package pages

import (
	"errors"
	"math"
	"strings"
	"time"
)

// Keep is how long a guest's pages stay for it while it does not run; 0: they go with it.
type Keep time.Duration

// KeepAlways is without an end.
const KeepAlways Keep = math.MaxInt64

// ParseKeep reads always, no, or a time such as 90m.
func ParseKeep(text string) (Keep, error) {
	switch text {
	case "always":
		return KeepAlways, nil
	case "no":
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		return 0, errors.New("write it as always, no, or a time such as 90m")
	}
	return Keep(d.Truncate(time.Second)), nil
}

func (k Keep) String() string {
	switch k {
	case KeepAlways:
		return "always"
	case 0:
		return "no"
	}
	text := time.Duration(k).String() // 1h30m0s
	for _, zero := range []string{"m0s", "h0m"} {
		if short, ok := strings.CutSuffix(text, zero); ok {
			text = short + zero[:1]
		}
	}
	return text
}
