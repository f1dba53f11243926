package main

import "strings"

// orWord is what to do about a word that begins with a hyphen and is no flag. meant is the
// flag that was probably meant; of a text, such as QEMU's of an -object, that says nothing.
func (l line) orWord(arg, meant string) string {
	switch {
	case strings.Contains(l.argsUsage, "TEXT"):
		return meant + ": a text that begins with - goes after --, or to standard input: vmhuge " + strings.Join(l.path, " ") + " -- TEXT"
	case meant == "" && !strings.HasPrefix(arg, "--") && (strings.Contains(l.argsUsage, "DOMAIN") || strings.Contains(l.argsUsage, "FILE")):
		return ": a name that begins with - goes after --"
	}
	return meant
}

// isLess says that a word is no flag but the -4G of a command that takes such.
func isLess(arg, argsUsage string) bool {
	return strings.Contains(argsUsage, "-SIZE") && len(arg) > 1 && arg[1] >= '0' && arg[1] <= '9'
}
