package explain

import (
	"slices"
	"strings"
)

// platform is a program that makes and starts guests itself. What vmhuge and virsh do to such
// a guest does not last, or they do not see it: a cure is in the platform's own terms.
type platform struct {
	name  string
	marks []string          // words by which a text shows that its guest is one of the platform's
	pages string            // what to do where there are too few pages
	guest string            // what to do about the guest's definition, or its folders
	cures map[string]string // what to do where a row's cause is the platform's own, by the row's ID
}

var proxmox = &platform{
	name:  "Proxmox VE",
	marks: []string{"TASK ERROR: ", "/PVE/", "start failed: QEMU exited", "start failed: hugepage", "start failed: command '/usr/bin/kvm", "hugepage allocation failed at ", "qm start ", "qm set ", "qm showcmd ", "pvedaemon", "pve-bridge", "Proxmox VE"},
	pages: "Proxmox VE starts its guests itself, and allocates their pages: see what each node has free with vmhuge status; qm set VMID --memory for less, or --hugepages 2 for pages of 2 MiB",
	guest: "Proxmox VE starts its guests itself, without libvirt: qm config VMID shows the options in /etc/pve/qemu-server/VMID.conf (hugepages: 2 or 1024, memory:, numa:), and qm set VMID changes them",
}

// platforms are those that are known; the first that a text shows counts.
var platforms = []*platform{proxmox, {
	name:  "KubeVirt",
	marks: []string{"kubevirt", "KubeVirt", "virt-launcher", "virt-handler", "VirtualMachineInstance"},
	pages: "KubeVirt starts the guest in a pod, and vmhuge can't: on the node vmhuge prepare --persist --pages N --size SIZE, then systemctl restart kubelet, which reads the pools at its start. The VirtualMachine's domain.memory.hugepages.pageSize (2Mi, 1Gi) must be that size; virt-launcher gets the pages as resources.limits hugepages-2Mi (hugepages-1Gi), and no more than these",
	guest: "KubeVirt recreates the domain at each start, so changes by virsh edit are lost: change the VirtualMachine, spec.template.spec.domain (memory.guest, memory.hugepages.pageSize, resources, devices); what is mounted in virt-launcher is the node's and the kubelet's",
	cures: map[string]string{
		"locked-memory": "in KubeVirt virt-handler sets the limit of locked memory for virtqemud before the start (memlock rlimits in its log), and in virt-launcher nothing has CAP_SYS_RESOURCE to raise it: compare that number with libvirt's. 9007199254740991 is no limit at all, which <locked/> without a <hard_limit> asks for: leave out what adds <locked/>, as huge pages are never swapped out (a hook sidecar, realtime). A number that is a little too small grows with additionalGuestMemoryOverheadRatio of the KubeVirt resource",
	},
}, {
	name:  "Kata Containers",
	marks: []string{" kata[", ".kata.", "kata-runtime", "kata-containers", "kata-agent", "kata-shim", "kata-qemu", "containerd-shim-kata", "Kata Containers", "/run/vc/", "virtcontainers", "virtio-mem-pci fail QMP", "QMP command failed:", "-name sandbox-"},
	pages: "Kata starts the guest itself, and vmhuge can't: with enable_hugepages = true in its configuration.toml each sandbox takes default_memory, and what is hot-plugged, from the host's pool: vmhuge prepare --persist --pages N --size 2M. In Kubernetes the pod needs as much as resources.limits hugepages-2Mi, which limits its cgroup (with sandbox_cgroup_only = true QEMU too); or enable_hugepages = false",
	guest: "Kata starts the guest itself, without libvirt: its configuration.toml has default_memory, enable_hugepages, enable_virtio_mem and shared_fs; the memory of a container is hot-plugged, so that resources.limits.memory should be a multiple of the page",
}, {
	name:  "Incus or LXD",
	marks: []string{"incusd", " incus[", "incus start ", "incus launch ", "incus restart ", "incus info ", "incus config ", "/incus/", " lxd[", "/lxd/", "snap.lxd", "lxc start ", "lxc launch ", "lxc restart ", "lxc info ", "lxc config ", "limits.memory.hugepages"},
	pages: "Incus (LXD) starts the guest itself, and vmhuge can't: vmhuge prepare --persist --pages N --size 2M, with limits.memory in pages, and start it again; or incus config set INSTANCE limits.memory.hugepages=false (lxc config set for LXD)",
	guest: "Incus (LXD) starts the guest itself, without libvirt: incus config show INSTANCE has limits.memory and limits.memory.hugepages, raw.qemu, raw.qemu.conf (such as maxmem in [memory]) and raw.apparmor for the rest (lxc config for LXD)",
}, {
	name:  "OpenStack",
	marks: []string{"nova.virt", "nova.compute", "nova-compute", "nova.conductor", "nova-conductor", "nova.scheduler", "nova-scheduler", "nova.exception", "instance-0000", "OpenStack Nova", "OpenStack Foundation", "openstack server ", "oslo_messaging", "oslo_concurrency", "oslo_service", "oslo.messaging", "oslo.service"},
	pages: "OpenStack starts the guest, and counts the pages itself: on the compute host vmhuge prepare --persist --pages N --size SIZE, then restart nova-compute, which reads the pools at its start. What other programs there take from the pool Nova learns from reserved_huge_pages in nova.conf; the flavor's hw:mem_page_size names the size, in KiB",
	guest: "Nova recreates the domain at each start, so changes by virsh edit are lost: change the flavor or the image (hw:mem_page_size, hw:numa_nodes; openstack flavor set --property), or nova.conf on the compute host",
}, {
	name:  "oVirt",
	marks: []string{"vdsm[", "vdsmd", " vdsm ", "ovirt-engine", "oVirt", "EngineException"},
	pages: "oVirt starts the guest: on the host vmhuge prepare --persist --pages N --size SIZE; the VM's custom property hugepages is the size, in KiB (2048, 1048576), and the VM's memory a multiple of it",
	guest: "oVirt recreates the domain at each start, so changes by virsh edit are lost: change the VM in the engine (memory, custom property hugepages, NUMA pinning); a VDSM hook changes what the engine can't",
}}

// platformOf tells whose guest a text is about; nil: libvirt's, or of no platform that is known.
func platformOf(text string) *platform {
	for _, p := range platforms {
		if slices.ContainsFunc(p.marks, func(mark string) bool { return strings.Contains(text, mark) }) {
			return p
		}
	}
	return nil
}

// ofPages are the rows of too few huge pages.
var ofPages = []string{"hotplug-short", "pool-short", "node-short", "min-size", "cgroup-reserved", "cgroup-used", "page-lost", "vfio-bad-address"}

// Platform is the name of the platform whose guest the text is about; "": of none that is known.
func (m Match) Platform() string {
	if m.platform == nil {
		return ""
	}
	return m.platform.name
}

// OfDomain says that a cure is a command for a domain of libvirt's.
func OfDomain(do string) bool {
	return strings.Contains(do, "vmhuge start") || strings.Contains(do, "vmhuge enable") || strings.Contains(do, "virsh edit")
}

// cure is the row's, if it holds for the platform's guests as well, or else the platform's.
func (p *platform) cure(row Row, do string) string {
	switch {
	case p == nil:
		return do
	case p.cures[row.ID] != "":
		return p.cures[row.ID]
	case !strings.Contains(row.Do, "DOMAIN") && !strings.Contains(do, "vmhuge exec"):
		return do
	case slices.Contains(ofPages, row.ID):
		return p.pages
	}
	return p.guest
}
