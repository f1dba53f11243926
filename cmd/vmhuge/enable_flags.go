package main

import (
	"strconv"

	"github.com/urfave/cli/v2"

	"vmhuge/internal/pages"
	"vmhuge/launcher"
	"vmhuge/xml"
)

// wanted reads the flags of enable.
func wanted(c *cli.Context) (launcher.Want, error) {
	var want launcher.Want
	switch size := c.String("size"); size {
	case "":
		want.Backing = plainBacking()
	case "auto":
		want.Auto = true
	case "default":
		want.PageSize = 0
	default:
		var err error
		want.PageSize, err = pages.ParseSize(size)
		if err != nil {
			return want, usage("--size: %s", err)
		}
	}
	want.Source = c.String("source")
	switch want.Source {
	case "", "file", "memfd":
	default:
		return want, usage("--source must be file or memfd, not %q", want.Source)
	}
	switch threads := c.String("threads"); threads {
	case "":
	case "auto":
		want.AutoThreads = true
	case "none":
		want.Threads = -1
	default:
		n, err := strconv.ParseUint(threads, 10, 16)
		if err != nil || n == 0 {
			return want, usage("--threads must be a number above 0, auto or none, not %q", threads)
		}
		want.Threads = int(n)
	}
	want.Round = c.Bool("round")
	if c.IsSet("keep") {
		keep, err := pages.ParseKeep(c.String("keep"))
		if err != nil {
			return want, usage("--keep: %q: %s", c.String("keep"), err)
		}
		want.For = &keep
	}
	var err error
	if want.IfShort, err = ifShort(c); err != nil {
		return want, err
	}
	if text := c.String("reserve-growth"); c.IsSet("reserve-growth") {
		bytes, err := pages.ParseBytes(text)
		if text == "no" {
			bytes, err = 0, nil
		}
		if err != nil || bytes%pages.KiB != 0 {
			return want, usage("--reserve-growth must be an amount of memory such as 4G, or no, not %q", text)
		}
		kib := bytes / pages.KiB
		want.GrowthKiB = &kib
	}
	if want.AtLeast, err = atLeast(c); err != nil {
		return want, err
	}
	want.THP = c.IsSet("thp") && c.Bool("thp")
	if want.AtLeast != nil && !want.THP {
		return want, usage("--at-least is about transparent huge pages: it needs --thp")
	}
	if want.THP {
		for _, name := range []string{"size", "source", "keep", "if-short", "reserve-growth"} {
			if c.IsSet(name) {
				return want, usage("--thp and --%s cannot be combined", name)
			}
		}
	}
	if c.IsSet("dry-run") {
		want.DryRun = c.Bool("dry-run")
	}
	return want, nil
}

// plainBacking is what enable asks for without flags.
func plainBacking() xml.Backing { return xml.Backing{Usual: true, Keep: true} }
