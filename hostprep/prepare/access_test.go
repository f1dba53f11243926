package prepare

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vmhuge/hostprep"
	"vmhuge/hostprep/boot"
	"vmhuge/hostprep/change"
	"vmhuge/hostprep/guesttest"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/hosttest"
	"vmhuge/hostprep/journal"
	"vmhuge/hostprep/pool"
	"vmhuge/internal/pages"
)

// planOf is what a preparation says of who may enter: all but what is about mounts and pages,
// which have tests of their own.
func planOf(h host.Host, p Options) []hostprep.Finding {
	others := []string{"host", "mounts", "thp", "overcommit", "boot", "page-structs"}
	findings, _ := Plan(h, p)
	return slices.DeleteFunc(findings, func(f hostprep.Finding) bool { return slices.Contains(others, f.Check) })
}

const brokenFolders = "-- modes --\ndev/hugepages/libvirt 0700 0:0\ndev/hugepages/libvirt/qemu/3-web1/ 0700 64055:107\ndev/hugepages/libvirt/qemu/4-web2/ 0700 5:5\n" +
	"dev/hugepages/libvirt/qemu/5-web3/ 0700 5:5\ndev/hugepages/libvirt/qemu/notours/ 0700 5:5\n" +
	"-- proc/900/stat --\n900 (qemu-system-x86) S 1 900 900 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 123456 1 1\n"

func TestPrepareAccess(t *testing.T) {
	for _, test := range []struct {
		name, host, edit string
		prepare          func(root string) error
		p                Options
		want             string
	}{
		{name: "nothing to do", p: Options{Guests: []hostprep.Guest{guesttest.Takes(1)}, Persist: true}},
		{name: "nothing named", p: Options{}},

		{name: "the mounts' group", edit: "-- etc/group --\nkvm:x:107:\nhuge:x:200:\n", p: Options{MountGroup: "huge"}, want: `
groups warning  fixable: libvirt-qemu is not in the group huge [gpasswd -a libvirt-qemu huge]`},
		{name: "the mounts' group is the user's own", p: Options{MountGroup: "kvm"}},
		{name: "no such group", p: Options{MountGroup: "huge"}}, // the mounts step tells
		{name: "KVM of a group", edit: "-- modes --\ndev/kvm 0660 0:36\n-- etc/group --\nkvm:x:36:\n", p: Options{Guests: []hostprep.Guest{guesttest.Takes(1)}}, want: `
groups blocker bad-host fixable: /dev/kvm is 0660 0:36, and libvirt-qemu cannot open it [gpasswd -a libvirt-qemu kvm]`},
		{name: "KVM of a group, and guests of TCG", edit: "-- modes --\ndev/kvm 0660 0:36\n-- etc/group --\nkvm:x:36:\n", p: Options{Guests: []hostprep.Guest{guesttest.Guest(func(g *hostprep.Guest) { g.Demand.Type = "qemu" })}}},
		{name: "KVM of root", edit: "-- modes --\ndev/kvm 0600 0:0\n", p: Options{}, want: `
groups warning : /dev/kvm is 0600 0:0, and libvirt-qemu cannot open it`},
		{name: "KVM's group is the mounts', too", edit: "-- modes --\ndev/kvm 0660 0:36\n-- etc/group --\nhuge:x:36:\n", p: Options{MountGroup: "huge", Guests: []hostprep.Guest{guesttest.Takes(1)}}, want: `
groups warning  fixable: libvirt-qemu is not in the group huge [gpasswd -a libvirt-qemu huge]`},
		{name: "no KVM", edit: "-- dev/kvm --\n", p: Options{Guests: []hostprep.Guest{guesttest.Takes(1)}}},

		{name: "folders, without a guest", edit: brokenFolders + "-- proc/900/cmdline --\nqemu-system-x86_64\x00-uuid\x00c7a5fdbd-edaf-9455-926a-d65c16db1809\x00-object\x00secret,file=/var/lib/libvirt/qemu/domain-4-web2/master-key.aes\x00\n",
			prepare: old("3-web1", "4-web2", "5-web3", "notours"), want: `
folders blocker no-access fixable: /dev/hugepages/libvirt is 0700 0:0 [chmod 0701 /dev/hugepages/libvirt (was 0700)]
folders warning  fixable: /dev/hugepages/libvirt/qemu/5-web3 belongs to no running guest, and is 0700 5:5 [rmdir /dev/hugepages/libvirt/qemu/5-web3 (was 0700 5:5)]`},
		{name: "a folder that was made a moment ago", edit: "-- modes --\ndev/hugepages/libvirt/qemu/5-web3/ 0700 5:5\n"},
		{name: "a folder that is not empty", edit: "-- modes --\ndev/hugepages/libvirt/qemu/5-web3/ 0700 5:5\n-- dev/hugepages/libvirt/qemu/5-web3/left --\nx\n", prepare: old("5-web3"), want: `
folders warning : /dev/hugepages/libvirt/qemu/5-web3 belongs to no running guest, and is 0700 5:5`},

		{name: "AppArmor of Debian 12", edit: hosttest.AppArmor, p: Options{Guests: []hostprep.Guest{guesttest.Takes(1), guesttest.OnNode("0", nil)}}, want: `
apparmor warning unknown fixable: /etc/apparmor.d/abstractions/libvirt-qemu does not let QEMU read which processors a node has [mkdir -m 0755 /etc/apparmor.d/local; mkdir -m 0755 /etc/apparmor.d/local/abstractions; printf '@{sys}/devices/system/node/*/cpumap r,\n' > /etc/apparmor.d/local/abstractions/libvirt-qemu]`},

		{name: "a list that lacks a size", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = [\"/dev/hugepages\"] # mine\n", p: Options{Guests: []hostprep.Guest{guesttest.Guest(guesttest.OneGiB)}}, want: `
qemu-conf blocker no-mount fixable restart: in /etc/libvirt/qemu.conf hugetlbfs_mount has no mount with pages of 1 GiB [edit /etc/libvirt/qemu.conf: -'hugetlbfs_mount = ["/dev/hugepages"] # mine' +'hugetlbfs_mount = ["/dev/hugepages1G", "/dev/hugepages"] # mine']`},
		{name: "a mount by hand that is gone after a reboot", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = \"/dev/hugepages\"\n", p: Options{Guests: []hostprep.Guest{guesttest.Takes(1)}, Persist: true}, want: `
qemu-conf blocker no-mount fixable restart: in /etc/libvirt/qemu.conf hugetlbfs_mount names /dev/hugepages, where nothing is mounted after a reboot, and has no mount with pages of 2 MiB [edit /etc/libvirt/qemu.conf: -'hugetlbfs_mount = "/dev/hugepages"' +'hugetlbfs_mount = ["/var/lib/hugepages2M"]']`},
		{name: "the same until then", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = \"/dev/hugepages\"\n", p: Options{Guests: []hostprep.Guest{guesttest.Takes(1)}}},
		{name: "the same with systemd", edit: "-- modes --\nrun/systemd/system/ 0755 0:0\n-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = \"/dev/hugepages\"\n", p: Options{Guests: []hostprep.Guest{guesttest.Takes(1)}, Persist: true}},
		{name: "switched off, and nobody asks", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = []\n", p: Options{Guests: []hostprep.Guest{guesttest.Guest(guesttest.Memfd)}}},
		{name: "switched off, and a guest asks", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = []\n", p: Options{Guests: []hostprep.Guest{guesttest.Takes(1)}}, want: `
qemu-conf blocker no-mount fixable restart: in /etc/libvirt/qemu.conf hugetlbfs_mount has no mount with pages of 2 MiB [edit /etc/libvirt/qemu.conf: -'hugetlbfs_mount = []' +'hugetlbfs_mount = ["/dev/hugepages"]']`},
		{name: "an entry that the mounts step mounts", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = \"/mnt/huge\"\n", p: Options{Guests: []hostprep.Guest{guesttest.Takes(1)}}},
		{name: "only such an entry, and nobody asks", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = \"/mnt/huge\"\n", p: Options{Guests: []hostprep.Guest{guesttest.Guest(guesttest.Memfd)}}, want: `
qemu-conf blocker no-mount fixable restart: in /etc/libvirt/qemu.conf hugetlbfs_mount names /mnt/huge, where no hugetlbfs is mounted [edit /etc/libvirt/qemu.conf: -'hugetlbfs_mount = "/mnt/huge"' +'#hugetlbfs_mount = "/mnt/huge"']`},
		{name: "the same for pages", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = \"/mnt/huge\"\n", p: Options{Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 8}}}},
		{name: "a list that lacks the size of pages", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = [\"/dev/hugepages\"]\n", p: Options{Pages: []pool.Need{{Size: pages.Size1GiB, Pages: 1}}}, want: `
qemu-conf blocker no-mount fixable restart: in /etc/libvirt/qemu.conf hugetlbfs_mount has no mount with pages of 1 GiB [edit /etc/libvirt/qemu.conf: -'hugetlbfs_mount = ["/dev/hugepages"]' +'hugetlbfs_mount = ["/dev/hugepages1G", "/dev/hugepages"]']`},
		{name: "a list with the place of a mount that is to come", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = [\"/dev/hugepages\", \"/dev/hugepages1G\"]\n", p: Options{Pages: []pool.Need{{Size: pages.Size1GiB, Pages: 1}}}},
		{name: "the same for a guest", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = [\"/dev/hugepages\", \"/dev/hugepages1G\"]\n", p: Options{Guests: []hostprep.Guest{guesttest.Guest(guesttest.OneGiB)}}},
		{name: "pages of a program", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = [\"/dev/hugepages\"]\n", p: Options{For: "ovs", Pages: []pool.Need{{Size: pages.Size1GiB, Pages: 1}}}},
		{name: "a bad qemu.conf", edit: "-- etc/libvirt/qemu.conf --\nhugetlbfs_mount = what\n", p: Options{Guests: []hostprep.Guest{guesttest.Guest(guesttest.Memfd)}}, want: `
groups warning unknown: cannot check: /etc/libvirt/qemu.conf: line 1: expected a string, a number or a list
folders warning unknown: cannot check: /etc/libvirt/qemu.conf: line 1: expected a string, a number or a list
qemu-conf warning unknown: cannot check: /etc/libvirt/qemu.conf: line 1: expected a string, a number or a list`},

		{name: "a user", edit: "-- modes --\nhome/alice/ 0700 1000:1000\n", p: Options{User: "alice"}, want: `
user warning no-access fixable: alice has no folder /dev/hugepages/alice [mkdir -m 0700 /dev/hugepages/alice; chown 1000:1000 /dev/hugepages/alice]
user warning no-mount fixable: /home/alice/.config/libvirt/qemu.conf does not name the user's folders as hugetlbfs_mount [mkdir -m 0700 /home/alice/.config; chown 1000:1000 /home/alice/.config; mkdir -m 0700 /home/alice/.config/libvirt; chown 1000:1000 /home/alice/.config/libvirt; printf 'hugetlbfs_mount = ["/dev/hugepages/alice"]\n' > /home/alice/.config/libvirt/qemu.conf]`},
		{name: "a user whose home others keep", edit: "-- modes --\nhome/alice/ 0700 1000:1000\ndev/hugepages/alice/ 0700 1000:1000\n", p: Options{User: "alice"},
			prepare: func(root string) error { return os.Symlink("/etc", root+"/home/alice/.config") }, want: `
user warning no-mount: /home/alice/.config/libvirt/qemu.conf does not name the user's folders as hugetlbfs_mount; /home/alice/.config is a symbolic link, or not a folder`},
		{name: "a user with a mount of their own", edit: "-- modes --\nhome/alice/ 0700 1000:1000\nmnt/mine/ 0700 1000:1000\n-- home/alice/.config/libvirt/qemu.conf --\n# mine\nhugetlbfs_mount = [ \"/mnt/mine\" ]\n-- proc/self/mountinfo --\n" + hosttest.RootMounts +
			"44 24 0:41 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n45 27 0:42 / /mnt/mine rw - hugetlbfs none rw,pagesize=1024M\n", p: Options{User: "alice", Pages: []pool.Need{{Size: pages.Size2MiB, Pages: 1}}}, want: `
user warning no-access fixable: alice has no folder /dev/hugepages/alice [mkdir -m 0700 /dev/hugepages/alice; chown 1000:1000 /dev/hugepages/alice]
user warning no-mount fixable: /home/alice/.config/libvirt/qemu.conf does not name the user's folders as hugetlbfs_mount [edit /home/alice/.config/libvirt/qemu.conf: -'hugetlbfs_mount = [ "/mnt/mine" ]' +'hugetlbfs_mount = ["/dev/hugepages/alice", "/mnt/mine"]']`},
		{name: "a user of a guest with 1 GiB and <locked/>", edit: "-- modes --\nhome/alice/ 0700 1000:1000\n", p: Options{User: "1000", Guests: []hostprep.Guest{guesttest.Session(func(g *hostprep.Guest) { guesttest.OneGiB(g); guesttest.Locked(g) })}}, want: `
user warning no-access fixable: alice has no folder /dev/hugepages1G/alice [mkdir -m 0700 /dev/hugepages1G/alice; chown 1000:1000 /dev/hugepages1G/alice]
user warning no-mount fixable: /home/alice/.config/libvirt/qemu.conf does not name the user's folders as hugetlbfs_mount [mkdir -m 0700 /home/alice/.config; chown 1000:1000 /home/alice/.config; mkdir -m 0700 /home/alice/.config/libvirt; chown 1000:1000 /home/alice/.config/libvirt; printf 'hugetlbfs_mount = ["/dev/hugepages1G/alice"]\n' > /home/alice/.config/libvirt/qemu.conf]
user warning bad-host fixable: web1 has <locked/>, but its limit of locked memory can't be raised by the libvirt daemon of alice [mkdir -m 0755 /etc/security; mkdir -m 0755 /etc/security/limits.d; printf 'alice - memlock unlimited\n' > /etc/security/limits.d/90-vmhuge.conf]`},
		{name: "a user whom the mount's root keeps out", edit: "-- modes --\ndev/hugepages 0750 0:36\ndev/hugepages/alice/ 0700 1000:1000\n-- etc/group --\nhuge:x:36:\n-- home/alice/.config/libvirt/qemu.conf --\nhugetlbfs_mount = \"/dev/hugepages/alice\"\n-- modes --\ndev/kvm 0666 0:0\ndev/hugepages/ 0750 0:36\ndev/hugepages/alice/ 0700 1000:1000\nhome/alice 0700 1000:1000\n", p: Options{User: "alice"}, want: `
user warning no-access fixable: /dev/hugepages is 0750 0:36, and alice cannot search it [gpasswd -a alice huge]`},
		{name: "a user, and somebody's folder", edit: "-- modes --\ndev/hugepages/ 0700 0:0\ndev/hugepages/alice/ 0755 0:0\nhome/alice/ 0700 1000:1000\n-- home/alice/.config/libvirt/qemu.conf --\nhugetlbfs_mount = [\"/dev/hugepages/alice\"]\n", p: Options{User: "alice"}, want: `
user warning no-access fixable: /dev/hugepages is 0700 0:0, and alice cannot search it [chmod 0701 /dev/hugepages (was 0700)]
user warning no-access: /dev/hugepages/alice is there, and is 0755 0:0`},
		{name: "a user without a home", p: Options{User: "alice"}, want: `
user warning no-access fixable: alice has no folder /dev/hugepages/alice [mkdir -m 0700 /dev/hugepages/alice; chown 1000:1000 /dev/hugepages/alice]
user warning no-mount: the home of alice, /home/alice, is not a folder that they own`},
		{name: "root", p: Options{User: "root"}, want: `
user note : root can use every hugetlbfs already`},

		{name: "shmget", edit: "-- proc/sys/vm/hugetlb_shm_group --\n0\n", p: Options{ShmGroup: "kvm"}, want: `
shm-group warning  fixable: vm.hugetlb_shm_group is 0, not the group kvm [echo 107 > /proc/sys/vm/hugetlb_shm_group (was 0)]`},
		{name: "shmget, and so it is", edit: "-- proc/sys/vm/hugetlb_shm_group --\n107\n", p: Options{ShmGroup: "107"}},

		{name: "a balloon", p: Options{Guests: []hostprep.Guest{guesttest.Guest(func(g *hostprep.Guest) {
			g.Traits = pages.Traits{Balloon: true, MemoryKiB: 2 << 20, CurrentKiB: 1 << 20}
		})}}, want: `
notes note : the balloon of web1 should return 1 GiB, but a balloon returns none of a guest's reserved pages`},

		{name: "Fedora", host: "fedora", p: Options{User: "alice", MountGroup: "kvm", ShmGroup: "kvm", Guests: []hostprep.Guest{guesttest.Takes(1000)}, Persist: true}, want: `
groups warning  fixable: alice is not in the group kvm [gpasswd -a alice kvm]
user warning no-access fixable: alice has no folder /dev/hugepages/alice [mkdir -m 0700 /dev/hugepages/alice; chown 1000:1000 /dev/hugepages/alice]
user warning no-mount fixable: /var/home/alice/.config/libvirt/qemu.conf does not name the user's folders as hugetlbfs_mount [mkdir -m 0700 /var/home/alice/.config/libvirt; chown 1000:1000 /var/home/alice/.config/libvirt; printf 'hugetlbfs_mount = ["/dev/hugepages/alice"]\n' > /var/home/alice/.config/libvirt/qemu.conf]
shm-group warning  fixable: vm.hugetlb_shm_group is 0, not the group kvm [echo 36 > /proc/sys/vm/hugetlb_shm_group (was 0)]
notes note : 512 MiB is swapped out while 1 GiB of huge pages is free, which no other memory can use
notes note : KSM is on and saves 1 GiB (pages_sharing 262144): it can't merge reserved huge pages, and splits transparent ones
notes note : all programs get transparent huge pages (enabled is always), which hold 2 GiB: the pools lack 976 MiB, and compete with these for free blocks`},
		{name: "Ubuntu 14.04", host: "ubuntu-14.04", p: Options{User: "alice", Guests: []hostprep.Guest{guesttest.Takes(1)}, Persist: true}, want: `
groups blocker bad-host fixable: /dev/kvm is 0660 0:116, and libvirt-qemu cannot open it [gpasswd -a libvirt-qemu kvm]
groups note : /dev/kvm is 0660 0:116, and alice cannot open it [gpasswd -a alice kvm]
qemu-conf blocker bad-host fixable restart: in /etc/libvirt/qemu.conf hugetlbfs_mount has "", which keeps libvirt from starting its QEMU driver, and has no mount with pages of 2 MiB [edit /etc/libvirt/qemu.conf: -'hugetlbfs_mount = ""  # they said it would disable it' +'hugetlbfs_mount = ["/run/hugepages/kvm"]  # they said it would disable it']
qemu-kvm warning  fixable: the service qemu-kvm mounts no hugetlbfs at boot [edit /etc/default/qemu-kvm: -'KVM_HUGEPAGES=0' +'KVM_HUGEPAGES=1']
user warning no-access fixable: /run/hugepages/kvm is 1770 0:116, and alice cannot search it [gpasswd -a alice kvm]
user warning no-access fixable: alice has no folder /run/hugepages/kvm/alice [mkdir -m 0700 /run/hugepages/kvm/alice; chown 1000:1000 /run/hugepages/kvm/alice]
user warning no-mount fixable: /home/alice/.config/libvirt/qemu.conf does not name the user's folders as hugetlbfs_mount [mkdir -m 0700 /home/alice/.config; chown 1000:1000 /home/alice/.config; mkdir -m 0700 /home/alice/.config/libvirt; chown 1000:1000 /home/alice/.config/libvirt; printf 'hugetlbfs_mount = ["/run/hugepages/kvm/alice"]\n' > /home/alice/.config/libvirt/qemu.conf]`},
		{name: "an immutable system", host: "immutable", p: Options{User: "alice", Guests: []hostprep.Guest{guesttest.Takes(1), guesttest.Session(guesttest.Locked)}, Persist: true}, want: `
folders blocker no-access fixable: /dev/hugepages/libvirt is 0700 0:0 [chmod 0701 /dev/hugepages/libvirt (was 0700)]
qemu-conf blocker no-mount restart: in /etc/libvirt/qemu.conf hugetlbfs_mount names /srv/hugepages, where no hugetlbfs is mounted; /etc/libvirt/qemu.conf is on a read-only file system
user warning no-access fixable: alice has no folder /dev/hugepages/alice [mkdir -m 0700 /dev/hugepages/alice; chown 1000:1000 /dev/hugepages/alice]
user warning no-mount fixable: /home/alice/.config/libvirt/qemu.conf does not name the user's folders as hugetlbfs_mount [mkdir -m 0700 /home/alice/.config; chown 1000:1000 /home/alice/.config; mkdir -m 0700 /home/alice/.config/libvirt; chown 1000:1000 /home/alice/.config/libvirt; printf 'hugetlbfs_mount = ["/dev/hugepages/alice"]\n' > /home/alice/.config/libvirt/qemu.conf]
user warning bad-host: web1 has <locked/>, but its limit of locked memory can't be raised by the libvirt daemon of alice; /etc/security/limits.d/90-vmhuge.conf is on a read-only file system`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.host == "" {
				test.host = "one-node"
			}
			h := host.Host{Root: hosttest.Unpack(t, test.host, test.edit)}
			if test.prepare != nil {
				hosttest.Must(t, test.prepare(h.Root.Path()))
			}
			findings := planOf(h, test.p)
			if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), guesttest.Show(findings)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for _, f := range findings {
				if f.Need == "" || f.Do == "" && f.Verdict != hostprep.Unknown || strings.Contains(f.Do, "vmhuge start does") {
					t.Errorf("%+v", f)
				}
			}
			// What it changes is what it lacked: made, it has nothing more to say
			// of it; taken back, all is as it was. Members are the running system's.
			var changes []change.Change
			for _, f := range findings {
				if f.Fixable {
					changes = append(changes, slices.DeleteFunc(f.Changes, func(c change.Change) bool { return c.Kind == change.KindMember })...)
				}
			}
			if slices.ContainsFunc(changes, func(c change.Change) bool { return strings.HasPrefix(c.Path, "/dev/hugepages1G") }) {
				return // that is yet to be mounted
			}
			before := treeOf(t, h)
			j := journal.Journal{Host: h}
			hosttest.Must(t, j.Apply(changes))
			for _, f := range planOf(h, test.p) {
				if f.Fixable && !slices.ContainsFunc(f.Changes, func(c change.Change) bool { return c.Kind == change.KindMember }) {
					t.Errorf("after all changes: %+v", f)
				}
			}
			if _, left, err := j.Undo(); err != nil || len(left) > 0 {
				t.Errorf("undo left %v, %v", left, err)
			}
			if diff := cmp.Diff(before, treeOf(t, h)); diff != "" {
				t.Errorf("after undo -want +got:\n%s", diff)
			}
		})
	}
}

// old makes folders of guests as old as a start is long.
func old(names ...string) func(root string) error {
	return func(root string) error {
		var errs []error
		for _, name := range names {
			then := time.Now().Add(-2 * newDir)
			errs = append(errs, os.Chtimes(root+"/dev/hugepages/libvirt/qemu/"+name, then, then))
		}
		return errors.Join(errs...)
	}
}

// treeOf is all that is on a host: modes, owners and texts.
func treeOf(t *testing.T, h host.Host) map[string]string {
	t.Helper()
	tree := map[string]string{}
	hosttest.Must(t, fs.WalkDir(os.DirFS(h.Root.Path()), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		st, err := h.Lstat(path)
		if err == nil {
			tree[path] = host.OwnerText(st)
		}
		if d.Type().IsRegular() && err == nil {
			var text string
			text, err = h.Root.Read(path)
			if strings.HasPrefix(path, "proc/") { // the kernel ends each line
				text = strings.TrimSpace(text)
			}
			tree[path] += "\n" + text
		}
		return err
	}))
	delete(tree, "var/lib") // the journal's
	delete(tree, "var")
	return tree
}

func TestUserFolders(t *testing.T) {
	h := host.Host{Root: hosttest.Unpack(t, "two-nodes", "")}
	for _, test := range []struct {
		p    Options
		want []boot.Folder
	}{
		{Options{}, nil},
		{Options{User: "root"}, nil},
		{Options{User: "alice"}, []boot.Folder{{Path: "/dev/hugepages/alice", State: "0700 1000:1000"}}},
		{Options{User: "alice", Pages: []pool.Need{{Size: pages.Size1GiB}, {Size: pages.Size2MiB}}},
			[]boot.Folder{{Path: "/dev/hugepages/alice", State: "0700 1000:1000"}, {Path: "/dev/hugepages1G/alice", State: "0700 1000:1000"}}},
		{Options{User: "alice", Guests: []hostprep.Guest{guesttest.Takes(1), guesttest.Session(guesttest.OneGiB), guesttest.Session(guesttest.Memfd)}}, []boot.Folder{{Path: "/dev/hugepages1G/alice", State: "0700 1000:1000"}}},
	} {
		got, err := userFolders(h, test.p)
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%+v: %s%v", test.p, diff, err)
		}
	}
}
