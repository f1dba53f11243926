package check

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/hook"
	"vmhuge/hostprep/host"
	"vmhuge/internal/lazyregexp"
)

// HookWrites finds scripts that libvirt runs and that set the size of a pool
// themselves, like the alloc_hugepages.sh of many guides on VFIO. Such a script sets one
// number for all guests: when one guest starts it may take away the pages of another, and
// when one ends it frees pages that a starting guest is about to use.
var HookWrites = Check{"hook-writes", func(h host.Host, g hostprep.Guest) ([]hostprep.Finding, error) {
	if !g.System() {
		return nil, nil
	}
	scripts, err := poolScripts(h, g.Demand.Domain)
	if err != nil || len(scripts) == 0 {
		return nil, err
	}
	var findings []hostprep.Finding
	for _, s := range scripts {
		findings = append(findings, hostprep.Finding{Severity: hostprep.Warning, Cause: hostprep.ForeignHook,
			Have: fmt.Sprintf("%s sets the pool by itself: line %s", s.path, strings.Join(s.lines, "; line ")),
			Need: "only one program that sets the pool: this script sets the same number for all guests, and so frees pages that another guest is waiting for, or that vmhuge added",
			Do:   "chmod a-x " + s.path + "; vmhuge hook install allocates and frees them for each guest instead"})
	}
	return findings, nil
}}

// A poolScript is a hook that writes to a pool.
type poolScript struct {
	path  string
	lines []string // number and text: 12: echo 0 > /proc/sys/vm/nr_hugepages
}

// poolScripts lists such hooks for a domain, or for any domain if the name is empty.
// libvirt itself runs hooks/qemu and the files of hooks/qemu.d; if one of these scripts
// mentions qemu.d, it is assumed to run qemu.d/DOMAIN/OPERATION/SUBOPERATION/*, as the
// script of VFIO-Tools does.
func poolScripts(h host.Host, domain string) ([]poolScript, error) {
	files, err := hook.Files(h)
	if err != nil {
		return nil, err
	}
	ours, err := hook.Find(h, 0)
	if err != nil {
		return nil, err
	}
	var scripts []poolScript
	tree := false
	for _, f := range files {
		if !f.Runs || ours.Ours && f.Path == ours.Path {
			continue
		}
		text, ok := scriptText(h, f.Path)
		tree = tree || ok && strings.Contains(text, "qemu.d")
		if lines := poolLines(text); ok && len(lines) > 0 {
			scripts = append(scripts, poolScript{f.Path, lines})
		}
	}
	if !tree {
		return scripts, nil
	}
	const dir = "/etc/libvirt/hooks/qemu.d"
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
				scripts = append(scripts, poolScript{p, poolLines(text)})
			}
		}
	}
	slices.SortFunc(scripts, func(a, b poolScript) int { return strings.Compare(a.path, b.path) })
	return scripts, nil
}

// scriptText reads a script; ok is false if it is a binary or can't be read.
func scriptText(h host.Host, file string) (text string, ok bool) {
	file = h.Resolve(file)
	text, err := h.ReadTail(path.Dir(file), path.Base(file))
	return text, err == nil && !strings.ContainsRune(text, 0)
}

// poolWrite matches a line of a script that sets the size of a pool: a redirection or tee
// into nr_hugepages, or a call of sysctl, hugeadm, virsh allocpages or Python's open()
// or write_text().
var poolWrite = lazyregexp.New(`(>|\btee\b).*nr_(overcommit_)?hugepages|\bsysctl\b.*vm\.nr_(overcommit_)?hugepages(_mempolicy)?\s*=|\bhugeadm\b.*--pool-pages|\bvirsh\b.*\ballocpages\b|\bopen\(.*nr_(overcommit_)?hugepages['"]\s*,\s*(mode\s*=\s*)?['"][wa]|nr_(overcommit_)?hugepages['"]\)\.write_text\(`)

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

// leaveToScripts turns a short pool into a warning if a hook other than vmhuge's sets the
// pool's size: only the start shows whether that script allocates enough pages.
func leaveToScripts(findings []hostprep.Finding) {
	if !slices.ContainsFunc(findings, func(f hostprep.Finding) bool { return f.Check == HookWrites.Name }) {
		return
	}
	for i := range findings {
		if f := &findings[i]; f.Severity == hostprep.Blocker && f.Check == Pool.Name && f.Verdict == hostprep.NoMemory {
			f.Severity, f.Verdict = hostprep.Warning, hostprep.Unknown
			f.Have += "; a hook that is not vmhuge's may add pages when the guest starts"
		}
	}
}

// hookWritesCheck is HookWrites for the host alone: the hooks of all guests.
var hookWritesCheck = hostCheck{"hook", func(h host.Host, g anyGuest) ([]Fact, error) {
	findings, err := HookWrites.Detect(h, g.Guest)
	return of("hook", findings, hostprep.Warning), err
}}
