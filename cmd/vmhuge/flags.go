package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"vmhuge/internal/pages"
)

func lookup(flags []cli.Flag, name string) cli.Flag {
	i := slices.IndexFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	if i < 0 {
		return nil
	}
	return flags[i]
}

// optionalFlag is a flag whose value may be left out. takes says whether the word
// behind it is that, and not a name.
type optionalFlag struct {
	*cli.StringFlag
	takes func(word string) bool
}

func takesValue(flag cli.Flag) bool {
	_, isBool := flag.(*cli.BoolFlag)
	return !isBool
}

// hostReserve is what the user asks the host to keep, in bytes; 0: nothing is
// said.
func hostReserve(c *cli.Context) (int64, error) {
	if !c.IsSet("host-reserve") {
		return 0, nil
	}
	text := strings.TrimSpace(c.String("host-reserve"))
	reserve, err := pages.ParseBytes(text)
	if err != nil {
		return 0, usage("--host-reserve: %s", err)
	}
	// Nobody counts in bytes: 8 is 8G, most likely.
	if reserve > 0 && strings.Trim(text, "0123456789") == "" {
		return 0, usage("--host-reserve: %s has no unit: write %sG or %sM", text, text, text)
	}
	return reserve, nil
}

// parseTime reads the 90s or 5m of a flag; a mere number is seconds.
func parseTime(flag, text string) (time.Duration, error) {
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, usage("--%s: %q is not a duration: write it as 90s or 5m", flag, text)
	}
	return d, nil
}

// checkValue refuses what urfave/cli would refuse, in words that name the flag as
// it was typed.
func checkValue(flag cli.Flag, typed, value string) error {
	var err error
	what := "a number"
	switch flag.(type) {
	case *cli.BoolFlag:
		_, err = strconv.ParseBool(value)
		what = "true or false"
	case *cli.IntFlag, *cli.Int64Flag:
		_, err = strconv.ParseInt(value, 0, 64)
		what = "a whole number"
	case *cli.Float64Flag:
		_, err = strconv.ParseFloat(value, 64)
	}
	if err != nil {
		return usage("%s: %q is not %s", typed, value, what)
	}
	return nil
}
