package boot

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/cmdline"
	"vmhuge/hostprep/host"
	"vmhuge/internal/lazyregexp"
	"vmhuge/internal/pages"
	"vmhuge/internal/sysctl"
)

// Reservation is a place that reserves huge pages at boot, and is not vmhuge's.
type Reservation struct {
	Where string // the file and line: /etc/sysctl.d/90-hp.conf:3; or the kernel's command line
	Text  string // as it stands there
	Size  pages.Size
	Pages int64 // -1: what it comes to can't be read off
	// Later says that it sets the pool when sysctl has made vmhuge's setting, whatever that was.
	Later bool
	// File says that a file has it set when the kernel's command line has been read.
	File bool
	// Sysctl says that this is one of sysctl's files.
	Sysctl bool
	// Booted says that Where is this boot's command line itself, and no file.
	Booted bool
	// Coming says that it is not so in this boot: the kernel's next command line asks for them.
	Coming bool
	// By is what sets the same pool later in each boot, so that this has no effect; nil: nothing.
	By     *Reservation
	always bool // that it is a command of rc.local that runs in each boot
}

// Reservations lists what reserves pages when this host boots, apart from vmhuge: the
// kernel's command line, sysctl's files, and what units, tmpfiles and rc.local write
// to a pool. Those that another one overrides are not among them.
func Reservations(h host.Host) ([]Reservation, error) {
	all, err := withOverridden(h)
	return slices.DeleteFunc(slices.Clone(all), func(r Reservation) bool { return r.By != nil || r.Pages == 0 && r.always }), err
}

// Overridden lists what sysctl or rc.local, which runs last, sets anew.
func Overridden(h host.Host) ([]Reservation, error) {
	all, err := withOverridden(h)
	return slices.DeleteFunc(slices.Clone(all), func(r Reservation) bool { return r.By == nil }), err
}

func withOverridden(h host.Host) ([]Reservation, error) {
	return host.Once(h, cacheKey("reservations"), func() ([]Reservation, error) {
		all, err := readReservations(h)
		for i, r := range all {
			for j, by := range all {
				if r.By == nil && r.before(by, j > i) && by.always && by.Size == r.Size && by.OnNode() == "" {
					all[i].By = &all[j]
				}
			}
		}
		return all, err
	})
}

// rcLocal is a script that systemd runs once everything else has been started (rc-local.service).
var rcLocal = []string{"/etc/rc.local", "/etc/rc.d/rc.local"}

// before says whether a place is read before one of rc.local's lines, which run in their order.
// When units run is not known here.
func (r Reservation) before(line Reservation, next bool) bool {
	file, _, _ := strings.Cut(r.Where, ":")
	of, _, _ := strings.Cut(line.Where, ":")
	return file == of && next || slices.Contains(tmpfilesDirs, path.Dir(file)) || r.Sysctl
}

// runsAlways is a line of a script that runs whatever those before it say.
var runsAlways = lazyregexp.New(`^(?:echo|sysctl)\b[^|&;]*$`)

func readReservations(h host.Host) ([]Reservation, error) {
	kernel, err := ReadKernel(h)
	if err != nil {
		return nil, err
	}
	var all []Reservation
	asked := kernel.Takes(withoutOurs(kernel.Cmdline))
	coming, err := NextBoot(h)
	if err != nil {
		return nil, err
	}
	profile, err := tunedCmdline(h)
	if err != nil {
		return nil, err
	}
	for _, size := range kernel.Sizes {
		r := Reservation{Where: "the kernel's command line", Booted: true, Size: size, Pages: asked.Of(size)}
		if i := slices.IndexFunc(coming, func(c Coming) bool { return c.Size == size }); i >= 0 {
			r.Where, r.Booted, r.Pages, r.Coming = coming[i].From, false, coming[i].Pages, true
		} else if r.Pages > 0 && kernel.Takes(profile.Text).Of(size) == r.Pages {
			r.Where, r.Booted = profile.File, false
		}
		if r.Text = fmt.Sprintf("hugepagesz=%s hugepages=%d", pages.SizeWord(size), r.Pages); r.Pages > 0 {
			all = append(all, r)
		}
	}
	standard, err := kernel.nextDefaultSize(h)
	if err != nil {
		return all, err
	}
	// set is a setting of the pool of the default size, on top of nothing.
	set := func(r Reservation) {
		for i := range all {
			if all[i].Size == standard && all[i].By == nil {
				all[i].By = &r
			}
		}
		if r.Pages > 0 || r.Later {
			all = append(all, r)
		}
	}
	if n, word := kernel.Reserves(); word != "" {
		set(Reservation{Where: "the kernel's command line", Booted: true, Text: word, Size: standard, Pages: n})
	}
	settings, err := SysctlLines(h)
	if err != nil {
		return all, err
	}
	for _, s := range slices.Backward(settings) {
		n, err := sysctl.Number(s.Value)
		if err != nil || !s.Sets("vm.nr_hugepages") {
			continue
		}
		set(Reservation{Where: s.Where, Text: s.Name + " = " + s.Value, Size: standard, Pages: n, Later: s.Later, File: true, Sysctl: !s.Tuned})
		break
	}
	scripts, err := bootScripts(h, standard)
	return append(all, scripts...), err
}

var nodeInPath = lazyregexp.New(`/node/node([0-9]+)/`)

// OnNode is the node whose pool alone is set; "": all are.
func (r Reservation) OnNode() string {
	if m := nodeInPath.Get().FindStringSubmatch(r.Text); r.File && m != nil {
		return m[1]
	}
	return ""
}

// OthersOnNodes is how many bytes the kernel's command line reserves on single nodes, apart
// from vmhuge.
func OthersOnNodes(h host.Host) (map[int]int64, error) {
	kernel, err := ReadKernel(h)
	if err != nil {
		return nil, err
	}
	bytes := map[int]int64{}
	asked := kernel.Takes(withoutOurs(kernel.Cmdline))
	for p, n := range asked.Pages {
		bytes[p.Node] += n * int64(p.Size)
	}
	for node, n := range asked.Areas {
		if kernel.CMA {
			bytes[node] += n
		}
	}
	delete(bytes, -1) // of any node
	return bytes, nil
}

// withoutOurs is a command line without what stands between vmhuge's marks.
func withoutOurs(line string) string {
	words := KernelWords(line)
	begin, end := slices.Index(words, cmdline.Begin), slices.Index(words, cmdline.End)
	if begin >= 0 && end > begin {
		words = slices.Delete(words, begin, end+1)
	}
	return strings.Join(words, " ")
}

// scriptWrite is a line of a unit, of tmpfiles.d or of a script that sets a pool, with
// the number if it is one:
//
//	ExecStart=/bin/sh -c "echo 512 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
//	w /sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages - - - - 8
//	sysctl -w vm.nr_hugepages=512
var scriptWrite = lazyregexp.New(`(?:echo\s+"?'?([0-9]+)?.*(?:>|\btee\b).*|^w[+!]*\s+\S*|\bsysctl\b.*\bvm\.|\btee\b.*)\bnr_hugepages(?:_mempolicy)?(?:\s*=\s*([0-9]+)|(?:\s+-){4}\s+([0-9]+))?`)

var sizeInPath = lazyregexp.New(`hugepages-([0-9]+)kB/`)

// tmpfilesDirs have the files of systemd-tmpfiles; of two of one name the first counts.
var tmpfilesDirs = []string{"/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d"}

// bootScripts finds such lines where an administrator puts what runs at boot, and in what
// really runs then.
func bootScripts(h host.Host, standard pages.Size) ([]Reservation, error) {
	var files []string
	for _, file := range rcLocal {
		st, err := h.Lstat(file)
		if err != nil {
			return nil, err
		}
		if st != nil && (st.Mode&unix.S_IFMT == unix.S_IFLNK || st.Mode&0o111 != 0) {
			files = append(files, file)
		}
	}
	services, err := serviceFiles(h)
	if err != nil {
		return nil, err
	}
	tmpfiles, err := h.DropIns(tmpfilesDirs)
	if err != nil {
		return nil, err
	}
	files = slices.Concat(files, services, slices.DeleteFunc(tmpfiles, func(file string) bool { return strings.HasPrefix(path.Base(file), "vmhuge") }))
	slices.Sort(files)
	var all []Reservation
	for _, file := range files {
		text, err := h.ReadIfThere(file)
		if err != nil {
			continue // a dangling or masked unit: it does nothing
		}
		for i, written := range strings.Split(text, "\n") {
			line := strings.TrimSpace(written)
			if slices.Contains(rcLocal, file) && (written == "exit" || strings.HasPrefix(written, "exit ")) {
				break // what follows does not run
			}
			m := scriptWrite.Get().FindStringSubmatch(line)
			if m == nil || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
				continue
			}
			r := Reservation{Where: fmt.Sprintf("%s:%d", file, i+1), Text: line, Size: standard, Pages: -1, Later: true, File: true}
			if n, err := strconv.ParseInt(cmp.Or(m[1], m[2], m[3]), 10, 62); err == nil {
				r.Pages = n
				r.always = slices.Contains(rcLocal, file) && runsAlways.Get().MatchString(strings.TrimRight(written, " \t"))
			}
			if size := sizeInPath.Get().FindStringSubmatch(line); size != nil {
				kib, _ := strconv.ParseInt(size[1], 10, 52)
				r.Size = pages.SizeOfKiB(kib)
			}
			if r.Pages != 0 || r.always {
				all = append(all, r)
			}
		}
	}
	return all, nil
}

// serviceFiles are the files of services that a boot starts, each with its drop-ins.
func serviceFiles(h host.Host) ([]string, error) {
	enabled, err := h.EnabledUnits()
	if err != nil {
		return nil, err
	}
	var files []string
	for name := range enabled {
		if path.Ext(name) != ".service" || strings.HasPrefix(name, "vmhuge") {
			continue
		}
		file, err := h.UnitFile(name)
		if err != nil {
			return nil, err
		}
		if file != "" && !slices.Contains(files, file) {
			files = append(files, file)
		}
		dropIns, err := h.UnitDropIns(name)
		if err != nil {
			return nil, err
		}
		files = append(files, dropIns...)
	}
	return files, nil
}
