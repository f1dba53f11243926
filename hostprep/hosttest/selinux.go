package hosttest

import "fmt"

// SELinux is a policy such as Fedora's, on a host whose daemon is process 500: virtqemud_t
// reads hooks, and does not run them, but for one of the type of vmhuge's module. Guests may
// use huge pages, where a test gives the hugetlbfs the label hugetlbfs_t.
func SELinux() string {
	const daemon, init = "system_u:system_r:virtqemud_t:s0", "system_u:system_r:init_t:s0"
	text := "-- etc/selinux/config --\nSELINUX=enforcing\nSELINUXTYPE=targeted\n" +
		"-- sys/fs/selinux/class/file/index --\n6\n-- sys/fs/selinux/class/process/index --\n2\n-- sys/fs/selinux/class/dir/index --\n7\n-- sys/fs/selinux/class/process/perms/transition --\n1\n"
	for i, name := range []string{"read", "open", "execute", "map", "execute_no_trans", "entrypoint", "write", "create", "unlink"} {
		text += fmt.Sprintf("-- sys/fs/selinux/class/file/perms/%s --\n%d\n", name, i+1)
	}
	for i, name := range []string{"create", "setattr", "relabelfrom", "relabelto", "search", "write", "add_name", "remove_name"} {
		text += fmt.Sprintf("-- sys/fs/selinux/class/dir/perms/%s --\n%d\n", name, i+1)
	}
	var created, allowed string
	for _, object := range []string{"virt_hook_t", "virt_etc_rw_t", "vmhuge_hook_exec_t"} {
		domain, decision := "virtqemud_t", "3"
		if object == "vmhuge_hook_exec_t" {
			domain, decision = "vmhuge_hook_t", "7"
		}
		created += fmt.Sprintf("%s system_u:object_r:%s:s0 2 = system_u:system_r:%s:s0\n", daemon, object, domain)
		allowed += fmt.Sprintf("%s system_u:object_r:%s:s0 6 = %s ffffffff 0 0 1 0\n", daemon, object, decision)
	}
	created += init + " system_u:object_r:virtqemud_exec_t:s0 2 = " + daemon + "\n"
	allowed += daemon + " system_u:system_r:vmhuge_hook_t:s0 2 = 1 ffffffff 0 0 1 0\n"
	allowed += "system_u:system_r:vmhuge_hook_t:s0 system_u:object_r:vmhuge_hook_exec_t:s0 6 = 2d ffffffff 0 0 1 0\n"
	const pages, image = "system_u:object_r:hugetlbfs_t:s0", "system_u:object_r:svirt_image_t:s0"
	created += daemon + " " + pages + " 7 = " + pages + "\n"
	allowed += daemon + " " + pages + " 7 = 7 ffffffff 0 0 1 0\n" + daemon + " " + image + " 7 = 8 ffffffff 0 0 1 0\n"
	text += "-- etc/selinux/targeted/contexts/virtual_image_context --\n" + image + "\nsystem_u:object_r:virt_content_t:s0\n-- etc/selinux/targeted/contexts/virtual_domain_context --\n"
	for _, guest := range []string{"system_u:system_r:svirt_t:s0", "system_u:system_r:svirt_tcg_t:s0"} {
		text += guest + "\n"
		created += guest + " " + image + " 6 = " + image + "\n" + guest + " " + pages + " 6 = " + image + "\n"
		allowed += guest + " " + image + " 7 = f0 ffffffff 0 0 1 0\n" + guest + " " + image + " 6 = 1cb ffffffff 0 0 1 0\n"
	}
	return text + "-- sys/fs/selinux/create --\n" + created + "-- sys/fs/selinux/access --\n" + allowed +
		"-- proc/500/attr/current --\n" + daemon + "\x00\n-- proc/1/attr/current --\n" + init + "\x00\n"
}

// HookContexts are Fedora's rules for libvirt's hooks, and HookModule is that of vmhuge's
// module, as a line after them.
const (
	HookContexts = "-- etc/selinux/targeted/contexts/files/file_contexts --\n/etc/libvirt/hooks(/.*)?\tsystem_u:object_r:virt_hook_t:s0\n"
	HookModule   = `/etc/libvirt/hooks/qemu\.d/90-vmhuge	--	system_u:object_r:vmhuge_hook_exec_t:s0` + "\n"
)
