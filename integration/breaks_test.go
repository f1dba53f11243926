package integration

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
	"libvirt.org/go/libvirt"

	"vmhuge/internal/versions"
)

// Breaks, of the host and of what libvirt knows. Each is undone when the test ends.

// mountAgain takes a hugetlbfs away and, unless options is empty, mounts another
// in its place. libvirtd is restarted only to put things back.
func mountAgain(target, options string) func(t *testing.T) {
	return func(t *testing.T) {
		if target == mount1G && !has1G() {
			if options != "" {
				need1G(t)
			}
			return
		}
		unmount(t, target)
		if options != "" {
			mountHugetlbfs(t, target, options)
		}
		if options != "" && !here(t, versions.MakesFolders) { // as libvirtd would, started now
			_ = os.MkdirAll(target+"/libvirt/qemu", 0o755) // for which there may be no room
		}
		t.Cleanup(func() {
			for unix.Unmount(target, 0) == nil {
			}
			size := "2M"
			if target == mount1G {
				size = "1G"
			}
			mountHugetlbfs(t, target, "pagesize="+size+",mode=0755")
			restartLibvirtd(t)
		})
	}
}

func unmount(t *testing.T, target string) {
	t.Helper()
	if err := unix.Unmount(target, 0); err != nil {
		t.Fatalf("unmounting %s: %v", target, err)
	}
}

func mountHugetlbfs(t *testing.T, target, options string) {
	t.Helper()
	if err := unix.Mount("hugetlbfs", target, "hugetlbfs", 0, options); err != nil {
		t.Fatalf("mounting %s (%s): %v", target, options, err)
	}
}

// all makes several breaks, one after the other.
func all(breaks ...func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) {
		for _, b := range breaks {
			b(t)
		}
	}
}

func mode(path string, mode os.FileMode) func(t *testing.T) {
	return func(t *testing.T) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(path, info.Mode()) })
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
}

// file writes a file that was not there, or puts another text into one.
func file(path, text string, mode os.FileMode) func(t *testing.T) {
	return func(t *testing.T) {
		before, err := os.ReadFile(path)
		t.Cleanup(func() {
			if err != nil {
				_ = os.Remove(path)
				return
			}
			_ = os.WriteFile(path, before, 0)
		})
		if err := os.WriteFile(path, []byte(string(before)+text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
}

// restarted restarts libvirtd, so that it sees the breaks made so far, and again at the
// end, when they are undone.
func restarted(breaks ...func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) {
		t.Cleanup(func() { restartLibvirtd(t) })
		all(breaks...)(t)
		restartLibvirtd(t)
	}
}

// stale leaves folders of a crash, as of starts with these ids.
func stale(ids ...int) func(t *testing.T) {
	return func(t *testing.T) {
		for _, id := range ids {
			dir := fmt.Sprintf("%s/qemu/%d-%s", libvirtDir, id, domainName(t)[:20])
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Remove(dir) })
		}
	}
}

// withHook writes libvirt's hook script, and makes libvirtd look for it.
func withHook(text string, mode os.FileMode) func(t *testing.T) {
	return all(file(oneHook, text, mode), reloaded)
}

// withHookIn writes one in a folder of its own.
func withHookIn(path, text string) func(t *testing.T) {
	return all(folders(filepath.Dir(path)), file(path, text, 0o755), reloaded)
}

// hookTree writes the hook of many guides on passthrough, which runs a script for each
// domain and step, and the script that adds pages.
func hookTree(pages int) func(t *testing.T) {
	return func(t *testing.T) {
		const dispatch = "#!/bin/sh\nfor script in \"$0.d/$1/$2/$3\"/*; do\n\t[ ! -x \"$script\" ] || \"$script\" \"$@\" || exit\ndone\n"
		for _, step := range []string{"prepare/begin", "release/end"} {
			path := filepath.Join(oneHook+".d", domainName(t), step, "alloc_hugepages.sh")
			all(folders(filepath.Dir(path)), file(path, allocates(pages), 0o755))(t)
		}
		withHook(dispatch, 0o755)(t)
	}
}

// allocates is a hook that adds so many pages before a start, and removes them after the
// guest has ended.
func allocates(pages int) string {
	return fmt.Sprintf(`#!/bin/sh
total=$(cat /proc/sys/vm/nr_hugepages)
case $2 in
prepare) echo $((total + %[1]d)) > /proc/sys/vm/nr_hugepages ;;
release) echo $((total - %[1]d)) > /proc/sys/vm/nr_hugepages ;;
esac
`, pages)
}

// folders makes a folder and those above it, and removes the new ones.
func folders(path string) func(t *testing.T) {
	return func(t *testing.T) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		folders(filepath.Dir(path))(t)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(path) })
	}
}

// reloaded makes libvirtd look for hooks.
func reloaded(t *testing.T) {
	if err := libvirtd.libvirtd.Process.Signal(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// over lays another file system over a hugetlbfs, or over a folder on it.
func over(path string) func(t *testing.T) {
	return func(t *testing.T) {
		folders(path)(t)
		t.Cleanup(func() { _ = unix.Unmount(path, 0) })
		if err := unix.Mount("tmpfs", path, "tmpfs", 0, "mode=0755"); err != nil {
			t.Fatal(err)
		}
	}
}

func remount(target string, flags uintptr) func(t *testing.T) {
	return func(t *testing.T) {
		t.Cleanup(func() { _ = unix.Mount("", target, "", unix.MS_REMOUNT, "") })
		if err := unix.Mount("", target, "", unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// otherMount mounts a second hugetlbfs that libvirtd has not seen.
func otherMount(options string) func(t *testing.T) {
	return func(t *testing.T) {
		const other = "/run/hugepages-other"
		if err := errors.Join(os.MkdirAll(other, 0o755), unix.Mount("hugetlbfs", other, "hugetlbfs", 0, options)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(unix.Unmount(other, 0), os.Remove(other)); err != nil {
				t.Error(err)
			}
		})
	}
}

// mountLate mounts again what libvirtd has not seen when it started.
func mountLate(t *testing.T) {
	all(mountAgain(mount1G, ""), mountAgain(mount2M, ""))(t)
	restartLibvirtd(t)
	mountHugetlbfs(t, mount2M, "pagesize=2M,mode=0755")
}

func mountLateOf1G(t *testing.T) {
	restarted(mountAgain(mount1G, ""))(t)
	mountHugetlbfs(t, mount1G, "pagesize=1G,mode=0755")
}

// withoutFolders mounts it again, without folders on it.
func withoutFolders(t *testing.T) {
	again("mode=0755")(t)
	if err := os.RemoveAll(libvirtDir); err != nil {
		t.Fatal(err)
	}
}

// umask077 has libvirtd make its folders under a strict umask.
func umask077(t *testing.T) {
	withoutFolders(t)
	defer unix.Umask(unix.Umask(0o077))
	restartLibvirtd(t)
}

// folderOfGroup leaves libvirt's folder to root and the group of QEMU's user.
func folderOfGroup(t *testing.T) {
	qemu, err := user.Lookup("libvirt-qemu")
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(qemu.Gid)
	if err != nil {
		t.Fatal(err)
	}
	dir := libvirtDir + "/qemu"
	var before unix.Stat_t
	if err := unix.Stat(dir, &before); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chown(dir, int(before.Uid), int(before.Gid)) })
	if err := os.Chown(dir, 0, gid); err != nil {
		t.Fatal(err)
	}
	mode(dir, 0o750)(t)
}

// onceStarted starts and stops the guest once, so that vmhuge knows that libvirtd calls
// its hook.
func onceStarted(t *testing.T, dom *libvirt.Domain) {
	startPaused(t, dom)
	destroy(t, dom)
}

// transient makes it a transient guest, which libvirt forgets when it ends.
func transient(t *testing.T, dom *libvirt.Domain) {
	xml := definition(t, dom)
	startPaused(t, dom)
	if err := dom.Undefine(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := libvirtd.conn.DomainDefineXML(xml); err != nil {
			t.Error(err)
		}
	})
}

// saved saves the guest while its definition has another backing.
func saved(backing string) func(t *testing.T, dom *libvirt.Domain) {
	return func(t *testing.T, dom *libvirt.Domain) {
		now := definition(t, dom)
		redefine(t, memoryBacking.ReplaceAllString(now, "<memoryBacking>"+backing+"</memoryBacking>"))
		startPaused(t, dom)
		if err := dom.ManagedSave(libvirt.DOMAIN_SAVE_PAUSED); err != nil {
			t.Fatal(err)
		}
		redefine(t, now)
	}
}

var memoryBacking = regexp.MustCompile(`(?s)<memoryBacking>.*</memoryBacking>`)

func redefine(t *testing.T, xml string) {
	t.Helper()
	dom, err := libvirtd.conn.DomainDefineXML(xml)
	if err != nil {
		t.Fatal(err)
	}
	_ = dom.Free()
}

// savedShort saves the guest, and then takes one of its pages away.
func savedShort(backing string) func(t *testing.T, dom *libvirt.Domain) {
	return func(t *testing.T, dom *libvirt.Domain) {
		saved(backing)(t, dom)
		reserve(1)(t)
	}
}

// withKVM gives libvirtd and QEMU a /dev/kvm, which the tests' /dev lacks.
func withKVM(t *testing.T) {
	t.Cleanup(func() {
		_ = os.Remove(devKVM)
		restartLibvirtd(t)
	})
	if err := errors.Join(unix.Mknod(devKVM, unix.S_IFCHR, int(unix.Mkdev(10, 232))), os.Chmod(devKVM, 0o666)); err != nil {
		t.Fatal(err)
	}
	restartLibvirtd(t)
}

const devKVM = "/dev/kvm"

func onlyRoot(t *testing.T, _ *libvirt.Domain) { mode(devKVM, 0o600)(t) }

// sysctl sets a setting of the kernel.
func sysctl(name, value string) func(t *testing.T) {
	return func(t *testing.T) {
		path := "/proc/sys/" + name
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.WriteFile(path, before, 0) })
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
}
