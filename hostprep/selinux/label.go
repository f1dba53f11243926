package selinux

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// Label is the context that the policy's file contexts give to a file of a kind (S_IFREG,
// S_IFDIR), as restorecon would set it; "": they give none, or SELinux is off.
//
// The last line that matches counts, one without a metacharacter before all others; a file of
// the administrator's comes after the policy's. Source: selabel_file(5), label_file.c.
func Label(h host.Host, file string, kind uint32) (string, error) {
	if !on(h) {
		return "", nil
	}
	contexts, err := policyFile(h, "contexts/files/file_contexts")
	if err != nil {
		return "", err
	}
	for _, aliases := range []string{".subs_dist", ".subs"} {
		text, err := h.ReadIfThere(contexts + aliases)
		if err != nil {
			return "", err
		}
		file = substitute(text, file)
	}
	var regular, exact string
	for _, name := range []string{"", ".homedirs", ".local"} {
		text, err := h.ReadIfThere(contexts + name)
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			if len(f) < 2 || f[0][0] == '#' || len(f) > 2 && kinds[f[1]] != kind {
				continue
			}
			switch {
			case !isExpression(f[0]):
				if unescape(f[0]) == file {
					exact = f[len(f)-1]
				}
			case matches(f[0], file):
				regular = f[len(f)-1]
			}
		}
	}
	label := cmp.Or(exact, regular)
	if label == "<<none>>" {
		return "", nil
	}
	return label, nil
}

// kinds are the second words of a line that has three.
var kinds = map[string]uint32{
	"--": unix.S_IFREG, "-d": unix.S_IFDIR, "-l": unix.S_IFLNK, "-s": unix.S_IFSOCK,
	"-p": unix.S_IFIFO, "-c": unix.S_IFCHR, "-b": unix.S_IFBLK,
}

const metacharacters = ".^$?*+|[({"

// isExpression says whether a path has a metacharacter without a backslash before it.
func isExpression(path string) bool {
	for i := 0; i < len(path); i++ {
		if path[i] == '\\' {
			i++
		} else if strings.IndexByte(metacharacters, path[i]) >= 0 {
			return true
		}
	}
	return false
}

// matches says whether a regular expression is of the whole path. There are thousands, and
// all but a few differ from it in their first letters. One that only PCRE knows is not tried.
func matches(expression, file string) bool {
	literal := expression
	if i := strings.IndexAny(expression, metacharacters+`\`); i >= 0 {
		literal = expression[:i]
		if i > 0 && strings.ContainsRune("?*{|", rune(expression[i])) {
			literal = expression[:i-1] // the letter before it may be missing
		}
		if strings.Contains(expression, "|") && !strings.Contains(expression, "(") {
			literal = ""
		}
	}
	if !strings.HasPrefix(file, literal) {
		return false
	}
	r, err := regexp.Compile("^(?:" + expression + ")$")
	return err == nil && r.MatchString(file)
}

// unescape takes the backslashes out of an expression without metacharacters.
func unescape(expression string) string { return strings.ReplaceAll(expression, `\`, "") }

// substitute replaces the beginning of a path by what has the same labels:
//
//	/run /var/run
func substitute(aliases, file string) string {
	for line := range strings.Lines(aliases) {
		f := strings.Fields(line)
		if len(f) != 2 || f[0][0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(file, f[0]); ok && (rest == "" || rest[0] == '/') {
			return f[1] + rest
		}
	}
	return file
}

// policyFile is the path of a file of the policy that /etc/selinux/config names.
func policyFile(h host.Host, file string) (string, error) {
	conf, err := h.ReadIfThere("/etc/selinux/config")
	return path.Join("/etc/selinux", cmp.Or(setting(conf, "SELINUXTYPE"), "targeted"), file), err
}

// setting reads a value of /etc/selinux/config: NAME=VALUE.
func setting(text, name string) string {
	lines := strings.Split(text, "\n")
	i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+"=") })
	if i < 0 {
		return ""
	}
	return strings.TrimSpace(strings.TrimPrefix(lines[i], name+"="))
}
