package hook

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vmhuge/hostprep/host"
	"vmhuge/internal/lazyregexp"
)

// A PoolScript is a hook that writes to a pool.
type PoolScript struct {
	Path  string
	Lines []string // number and text: 12: echo 0 > /proc/sys/vm/nr_hugepages
}

// PoolScripts lists such hooks for a domain, or for any domain if the name is empty.
// libvirt itself runs hooks/qemu and the files of hooks/qemu.d; if one of these scripts
// mentions qemu.d, or its own name with .d, it is assumed to run
// qemu.d/DOMAIN/OPERATION/SUBOPERATION/*, as the script of VFIO-Tools does.
func PoolScripts(h host.Host, domain string) ([]PoolScript, error) {
	files, err := Files(h)
	if err != nil {
		return nil, err
	}
	ours, err := Find(h, 0)
	if err != nil {
		return nil, err
	}
	var scripts []PoolScript
	tree := false
	for _, f := range files {
		if !f.Runs || ours.Ours && f.Path == ours.Path {
			continue
		}
		text, ok := scriptText(h, f.Path)
		tree = tree || ok && runsTree.Get().MatchString(text)
		if lines := poolLines(text); ok && len(lines) > 0 {
			scripts = append(scripts, PoolScript{f.Path, lines})
		}
	}
	if !tree {
		return scripts, nil
	}
	dir := h.Root.Libvirt().ConfDir() + "/hooks/qemu.d"
	if domain == "" || strings.ContainsAny(domain, `/*?[\`) || strings.HasPrefix(domain, ".") {
		domain = "*"
	}
	for _, below := range []string{"*/*/*", "*/*", "*"} {
		paths, err := filepath.Glob(h.Root.Path(dir, domain) + "/" + below)
		if err != nil {
			return scripts, err
		}
		for _, p := range paths {
			p = path.Join("/", strings.TrimPrefix(p, h.Root.Path()))
			st, err := h.Lstat(p)
			if err != nil || st == nil || st.Mode&0o111 == 0 {
				continue
			}
			if text, ok := scriptText(h, p); ok && len(poolLines(text)) > 0 {
				scripts = append(scripts, PoolScript{p, poolLines(text)})
			}
		}
	}
	slices.SortFunc(scripts, func(a, b PoolScript) int { return strings.Compare(a.Path, b.Path) })
	return scripts, nil
}

// runsTree matches qemu.d in a script: also $0.d, ${0}.d, "$0".d and $(basename $0).d.
var runsTree = lazyregexp.New(`qemu\.d|\$\{?(0|BASH_SOURCE[^}\n]*)\}?["')]*\.d\b`)

// scriptText reads a script; ok is false if it is a binary or can't be read.
func scriptText(h host.Host, file string) (text string, ok bool) {
	file = h.Resolve(file)
	text, err := h.ReadTail(path.Dir(file), path.Base(file))
	return text, err == nil && !strings.ContainsRune(text, 0)
}

// poolWrite matches a line of a script that sets the size of a pool: a redirection, tee or dd
// into nr_hugepages, or a call of sysctl, hugeadm, virsh allocpages or Python's open()
// or write_text().
var poolWrite = lazyregexp.New(`(>\|?\s*([^\s;|&<>]|\$\([^)]*\)+)*|\btee\b[^;|&]*|\bdd\b[^;|&]*\bof=\S*)nr_(overcommit_)?hugepages|\bsysctl\b.*vm[./]nr_(overcommit_)?hugepages(_mempolicy)?\s*=|\bhugeadm\b.*--pool-pages|\bvirsh\b.*\ballocpages\b|\bopen\(.*nr_(overcommit_)?hugepages['"]\s*,\s*(mode\s*=\s*)?['"][wa]|nr_(overcommit_)?hugepages['"]\)\.write_text\(`)

// poolVariable matches a variable that is set to the path of such a file: P=/proc/sys/vm/nr_hugepages.
var poolVariable = lazyregexp.New(`^\s*(?:export\s+|readonly\s+|local\s+)?([A-Za-z_][A-Za-z_0-9]*)=["']?[^\s"'$]*nr_(?:overcommit_)?hugepages["']?`)

// poolLines lists the lines of a script that set the size of a pool, at most three.
func poolLines(text string) []string {
	var lines, variables []string
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if m := poolVariable.Get().FindStringSubmatch(line); m != nil {
			variables = append(variables, m[1])
		}
		writes := poolWrite.Get().MatchString(line) || slices.ContainsFunc(variables, func(name string) bool {
			return regexp.MustCompile(`(>|\btee\b)[^|]*\$\{?` + name + `\b`).MatchString(line)
		})
		if writes && len(lines) < 3 {
			if len(line) > 100 {
				line = line[:100] + "…"
			}
			lines = append(lines, fmt.Sprintf("%d: %s", i+1, strings.ToValidUTF8(line, "�")))
		}
	}
	return lines
}
