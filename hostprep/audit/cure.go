package audit

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vmhuge/hostprep/check"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/libvirtd"
	"vmhuge/hostprep/selinux"
	"vmhuge/internal/lazyregexp"
	"vmhuge/internal/shell"
)

// What a record says may come from an attacker: any process chooses its name, a QEMU that
// was broken into the paths that it opens, and whoever may write to syslog all of a record.
// So a cure names nothing of a record that would do harm as a rule or in a shell: only a
// path on a hugetlbfs, and SELinux's types.

// cure is what helps against a denial, with the source that the guest does not have
// yet.
func (d Denial) cure(mounts []host.Mount) string {
	mount, known := d.mount(mounts)
	switch {
	case d.isOfPolicy():
		return "install the package vmhuge-selinux, whose policy allows it"
	case d.Module == "AppArmor" && strings.HasSuffix(d.Path, "/cpumap"):
		return "vmhuge start adds the rule " + check.CPUMapRule
	case d.isMemfd() && d.Module == "AppArmor" && d.Path == "/":
		return "vmhuge enable --source file, or vmhuge start adds the rule " + check.MemfdRule
	case d.isMemfd() && d.Module == "AppArmor":
		return "vmhuge enable --source file" + orElse(ruleFor(d.Path, "rw"))
	case d.isMemfd():
		return "vmhuge enable --source file" + orElse(d.allow())
	case d.Module == "AppArmor" && !known:
		return appArmorsMemfd + "; do not allow QEMU the path unless you know it as a hugetlbfs"
	case d.Module == "AppArmor":
		return strings.TrimPrefix(orElse(ruleFor(d.rulePath(mount), "rwk"))+", or "+appArmorsMemfd, ", or ")
	case d.isLeftover():
		// libvirt labels the folder only when it makes it, and restorecon leaves this type.
		return "rmdir that folder in " + shell.Quote(path.Join(mount, libvirtd.SystemBase)) + ", which an earlier start has left with the label of its own" + orNoPath
	case strings.Contains(d.Label, ":hugetlbfs_t:"):
		// The policy's own label for all of a hugetlbfs, which restorecon gives back at
		// most: what is wrong is the policy, or libvirt gave the guest's folder no label.
		return strings.TrimPrefix(orElse(d.allow())+orNoPath, ", or ")
	case strings.HasPrefix(d.Path, "/") && d.Path != "/" && !known:
		return "restorecon -R the mount that it is on (findmnt -t hugetlbfs)" + orNoPath
	}
	return "restorecon -R " + shell.Quote(mount) + orNoPath
}

// isLeftover says that the file has the label of another guest, or of another start.
func (d Denial) isLeftover() bool {
	guest, own, _ := strings.Cut(d.Subject, ":s0:")
	_, its, labelled := strings.Cut(d.Label, ":s0:")
	return labelled && strings.Contains(guest, ":svirt_") && strings.Contains(d.Label, ":svirt_image_t:") && its != own
}

// isOfPolicy says that our module for SELinux allows it, and policies such as Debian's do not:
// a folder on a hugetlbfs gets its guest's label, and QEMU maps the pages in it or in its memfd.
func (d Denial) isOfPolicy() bool {
	of := selinux.Denial{Subject: d.Subject, Object: d.Label, Permissions: strings.Fields(d.What)}
	return of.OfGuests() && !d.isLeftover()
}

const orNoPath = ", or vmhuge enable --source memfd, which has no path"

// appArmorsMemfd is that under AppArmor, which lacks a rule for memfds until vmhuge start adds it.
const appArmorsMemfd = "vmhuge enable --source memfd && vmhuge start, which needs no path"

// orElse is one more cure, if there is one.
func orElse(cure string) string {
	if cure == "" {
		return ""
	}
	return ", or " + cure
}

var (
	// plainPath has nothing that AppArmor or a shell reads as more than a name.
	plainPath = lazyregexp.New(`^/[A-Za-z0-9_.:+@ ()/-]*$`)
	shellPath = lazyregexp.New(`^/[A-Za-z0-9_.:+@/-]*$`)
	// usualMount is where distributions and their manuals have a hugetlbfs.
	usualMount  = lazyregexp.New(`^(/dev/hugepages[A-Za-z0-9_.-]*|/mnt/huge[A-Za-z0-9_.-]*|/huge(?:pages|tlbfs)?[0-9KMG]*|/run/hugepages(/[A-Za-z0-9_.-]+)?)(/|$)`)
	seLinuxType = lazyregexp.New(`^[A-Za-z0-9_.]+:[A-Za-z0-9_.]+:([a-z0-9_]+):`)
)

// ruleFor is AppArmor's rule for a path, "" where the path could be read as a pattern.
func ruleFor(name, mode string) string {
	if !plainPath.Get().MatchString(strings.TrimSuffix(name, "**")) {
		return ""
	}
	return fmt.Sprintf("add the rule %q %s, to %s", name, mode, check.AppArmorLocal)
}

// allow is how SELinux is told to allow what it denied. It goes by the types, as another
// process of the same name may have been denied anything.
func (d Denial) allow() string {
	subject, object := seLinuxType.Get().FindStringSubmatch(d.Subject+":"), seLinuxType.Get().FindStringSubmatch(d.Label+":")
	if subject == nil || object == nil || !d.isMemfd() && object[1] != "hugetlbfs_t" {
		return ""
	}
	return fmt.Sprintf("update the policy (selinux-policy), or allow it: ausearch -m avc --raw -su :%s: -o :%s: | audit2allow -M vmhuge-local && semodule -i vmhuge-local.pp", subject[1], object[1])
}

// rulePath is the path of a rule that holds for the guest's next start, too,
// whose folder has another name.
func (d Denial) rulePath(mount string) string {
	if base := strings.TrimRight(mount, "/") + "/" + libvirtd.SystemBase; strings.HasPrefix(d.Path, base+"/") {
		return base + "/**"
	}
	return d.Path
}

// mount is the hugetlbfs that a denied path is on. known says that it is one of this
// host's, or of a text from another host where one usually is.
func (d Denial) mount(mounts []host.Mount) (point string, known bool) {
	name := path.Clean(d.Path)
	i := slices.IndexFunc(mounts, func(m host.Mount) bool { return host.Within(name, m.Point) })
	switch usual := usualMount.Get().FindStringSubmatch(name); {
	case i >= 0:
		point = mounts[i].Point
	case usual != nil:
		point = usual[1]
	}
	if !shellPath.Get().MatchString(point) {
		return "/dev/hugepages", false
	}
	return point, true
}
