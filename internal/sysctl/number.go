package sysctl

import (
	"strconv"
	"strings"
)

// Number reads a number of a setting as the kernel does: 1024, 0x400 or 02000. Of several
// words the kernel takes the first.
//
// Source: proc_get_long() and __do_proc_doulongvec_minmax() in the kernel's kernel/sysctl.c.
func Number(value string) (int64, error) {
	if words := strings.Fields(value); len(words) > 0 {
		value = words[0]
	}
	if digits, is := strings.CutPrefix(strings.ToLower(value), "0x"); is {
		return strconv.ParseInt(digits, 16, 62)
	}
	if digits, is := strings.CutPrefix(value, "0"); is && digits != "" {
		return strconv.ParseInt(digits, 8, 62)
	}
	return strconv.ParseInt(value, 10, 62)
}
