package integration

import (
	"vmhuge/hostprep"
	"vmhuge/internal/versions"
)

const (
	noOpen     = "for guest RAM: Permission denied"
	hookFailed = "Hook script execution failed"
	oneHook    = "/etc/libvirt/hooks/qemu"
	libvirtDir = mount2M + "/libvirt"
)

// accessFaults are of folders and hooks, between libvirtd, QEMU and the pages.
var accessFaults = []fault{
	{name: "folder-0700-libvirt", setup: mode(libvirtDir, 0o700), verdict: hostprep.NoAccess, says: noOpen, cause: "folder-mode", mends: true},
	{name: "folder-0700-qemu", setup: mode(libvirtDir+"/qemu", 0o700), verdict: hostprep.NoAccess, says: noOpen, cause: "folder-mode", mends: true},
	{name: "folder-0744-qemu", setup: mode(libvirtDir+"/qemu", 0o744), verdict: hostprep.NoAccess, says: noOpen, cause: "folder-mode", mends: true},
	{name: "folder-0711-qemu", setup: mode(libvirtDir+"/qemu", 0o711), verdict: hostprep.Ready},
	{name: "folder-0750-of-its-group", setup: folderOfGroup, verdict: hostprep.Ready},
	{name: "folder-0700-memfd", setup: mode(libvirtDir, 0o700), guest: memfd(""), verdict: hostprep.Ready},
	{name: "folders-of-umask-077", setup: umask077, verdict: hostprep.NoAccess, says: noOpen, cause: "folder-mode", mends: true},
	{name: "mount-0700", with: versions.MakesFolders, setup: again("mode=0700"), verdict: hostprep.Ready}, // libvirt opens it
	{name: "mount-1770", with: versions.MakesFolders, setup: again("mode=1770,gid=1"), verdict: hostprep.Ready},
	{name: "mount-0700-older", without: versions.MakesFolders, setup: again("mode=0700"), verdict: hostprep.NoAccess, says: noOpen, cause: "folder-mode", mends: true},
	{name: "mount-again-older", without: versions.MakesFolders, setup: withoutFolders, verdict: hostprep.NoAccess, says: noOpen, cause: "folder-mode", mends: true},
	{name: "folder-stale", setup: restarted(stale(1, 2)), verdict: hostprep.NoAccess, says: noOpen, cause: "folder-stale", mends: true},
	{name: "folder-stale-of-root-as-user", setup: restarted(conf(`user = "root"`), stale(1)), verdict: hostprep.Ready},
	{name: "folder-stale-of-another-id", setup: restarted(stale(999)), verdict: hostprep.Ready},

	// What another hook decides can't be known before the start; check says so.
	{name: "hook-lets", setup: withHook("#!/bin/sh\nexit 0\n", 0o755), verdict: hostprep.Ready},
	{name: "hook-not-executable", setup: withHook("#!/bin/sh\nexit 1\n", 0o644), verdict: hostprep.Ready},
	{name: "hook-refuses", setup: withHook("#!/bin/sh\necho no >&2\nexit 1\n", 0o755), blind: true, verdict: hostprep.Ready, says: hookFailed, cause: "hook-refused"},
	{name: "hook-without-interpreter", setup: withHook("#!/nonexistent\n", 0o755), blind: true, verdict: hostprep.Ready, says: hookFailed, cause: "hook-cannot-run"},
	{name: "hook-killed", setup: withHook("#!/bin/sh\nkill -9 $$\n", 0o755), blind: true, verdict: hostprep.Ready, says: hookFailed, cause: "hook-killed"},

	// Hooks that set the pool: whether they add enough only the start shows.
	{name: "hook-allocates", pages: -1, setup: withHook(allocates(32), 0o755), verdict: hostprep.Unknown},
	{name: "hook-allocates-one-less", pages: -1, setup: withHook(allocates(31), 0o755), verdict: hostprep.Unknown, says: unmapped, cause: "pool-short"},
	{name: "hook-allocates-not-executable", pages: -1, setup: withHook(allocates(32), 0o644), verdict: hostprep.NoMemory, says: unmapped, cause: "pool-short", mends: true},
	{name: "hook-allocates-in-qemu.d", pages: -1, setup: withHookIn(oneHook+".d/50-pages", allocates(32)), verdict: hostprep.Unknown},
	{name: "hook-allocates-by-the-tree", pages: -1, setup: hookTree(32), verdict: hostprep.Unknown},
	{name: "hook-of-vmhuge", pages: -1, setup: installHook, before: onceStarted, verdict: hostprep.Ready},
}
