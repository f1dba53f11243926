package hostprep

import (
	"vmhuge/internal/advice"
)

// Cause names a row of the table in package explain.
type Cause = advice.Cause

// The causes that checks can see.
const (
	HookDenied         Cause = "hook-denied"
	KVMMissing         Cause = "kvm-missing"
	KVMPermission      Cause = "kvm-permission"
	KVMHPage           Cause = "kvm-hpage"
	LockedMemory       Cause = "locked-memory"
	NumadMissing       Cause = "numad-missing"
	NumadFails         Cause = "numad-fails"
	NodeMissing        Cause = "node-missing"
	NodeWithoutCPUs    Cause = "node-without-cpus"
	EmulatorPin        Cause = "emulatorpin"
	AppArmorNUMA       Cause = "apparmor-numa"
	AppArmorMemfd      Cause = "apparmor-memfd"
	SmallerThanPage    Cause = "smaller-than-page"
	Unaligned          Cause = "unaligned"
	BackendContradicts Cause = "backend-contradicts"
	BindingsContradict Cause = "bindings-contradict"
	PageSizeMissing    Cause = "page-size-missing"
	ConfRefused        Cause = "conf-refused"
	ConfEmptyMount     Cause = "conf-empty-mount"
	OverMounted        Cause = "over-mounted"
	DevMountedTwice    Cause = "dev-mounted-twice"
	DevHidden          Cause = "dev-hidden"
	MountLate          Cause = "mount-late"
	MountMissing       Cause = "mount-missing"
	MountVanished      Cause = "mount-vanished"
	MountReadOnly      Cause = "mount-read-only"
	MountInodes        Cause = "mount-inodes"
	MountFull          Cause = "mount-full"
	MinSize            Cause = "min-size"
	SessionMount       Cause = "session-mount"
	FolderMode         Cause = "folder-mode"
	SecurityModule     Cause = "security-module"
	FolderStale        Cause = "folder-stale"
	PoolShort          Cause = "pool-short"
	NodeShort          Cause = "node-short"
	CgroupReserved     Cause = "cgroup-reserved"
	CgroupUsed         Cause = "cgroup-used"
	MemoryLimit        Cause = "memory-limit"
	RAMShort           Cause = "ram-short"
	ForeignHook        Cause = "hook-refused"
)
