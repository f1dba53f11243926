// Package shell writes names and paths as words of a POSIX shell, for commands that a
// user is told to run. vmhuge itself runs no shell.
package shell

import "strings"

// plain are the characters that no shell reads as anything but themselves.
const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./,:=@%+-"

// Quote writes a word in single quotes where a shell would read it as anything else.
//
//	web1      web1
//	a b;reboot  'a b;reboot'
func Quote(word string) string {
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Operand is Quote for the last words of a command: a word that begins with - gets a --
// before it, so that the command does not read it as a flag.
func Operand(word string) string {
	if strings.HasPrefix(word, "-") {
		return "-- " + Quote(word)
	}
	return Quote(word)
}
