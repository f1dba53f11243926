package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vmhuge/internal/advice"
)

// WriteFile writes the same into a file for node_exporter's textfile collector, whole or
// not at all, with mode 0644. Root writes into another user's folder with that user's
// rights alone: they could have the path mean another file at any moment.
func (e *Exporter) WriteFile(path string) error {
	var text bytes.Buffer
	if err := e.WriteText(&text); err != nil {
		return err
	}
	dir, owner, err := openFolder(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	write := func() error { return replace(dir, filepath.Base(path), text.Bytes()) }
	if owner == 0 {
		return write()
	}
	return withRightsOf(owner, write)
}

// openFolder opens a folder. For root it says which other user may change what is in it, or
// on the way there; 0: none. A folder that more users than its owner may change is refused.
func openFolder(dir string) (fd int, owner uint32, err error) {
	if dir, err = filepath.Abs(dir); err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return -1, 0, err
	}
	fd = unix.AT_FDCWD
	for at := range strings.SplitAfterSeq(dir+"/", "/") { // the root folder first
		if at == "" {
			continue
		}
		next, err := unix.Openat(fd, at, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if fd >= 0 {
			unix.Close(fd)
		}
		if fd = next; err != nil {
			return -1, 0, &os.PathError{Op: "open", Path: dir, Err: err}
		}
		var st unix.Stat_t
		if err = unix.Fstat(fd, &st); err == nil && os.Geteuid() == 0 {
			owner, err = ownerOf(at, &st, owner)
		}
		if err != nil {
			unix.Close(fd)
			return -1, 0, err
		}
	}
	return fd, owner, nil
}

// ownerOf is the user besides root who may change a folder, or those above it.
func ownerOf(name string, st *unix.Stat_t, above uint32) (uint32, error) {
	switch {
	case st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0:
		return 0, advice.New("the folder "+name, "more users than its owner may write to it", "chmod go-w, or name a file in another folder")
	case st.Uid == 0:
		return above, nil
	case above != 0 && above != st.Uid:
		return 0, advice.New("the folder "+name, fmt.Sprintf("the users %d and %d may both change what is in it", above, st.Uid), "name a file in another folder")
	}
	return st.Uid, nil
}

// withRightsOf does something to files with the rights of a user, and none of root's.
func withRightsOf(uid uint32, do func() error) error {
	u, err := user.LookupId(strconv.Itoa(int(uid)))
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the rights that it has now
		// Setgroups of package syscall is for all threads.
		if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
			done <- errno
			return
		}
		_, _ = unix.SetfsgidRetGid(gid) // neither tells errors, but what it was
		_, _ = unix.SetfsuidRetUid(int(uid))
		if now, _ := unix.SetfsuidRetUid(-1); now != int(uid) {
			done <- errors.New("the rights of the user " + u.Username + " can't be had")
			return
		}
		done <- do()
	}()
	return <-done
}

// replace writes a file of an open folder, which other users may change meanwhile: no name
// in it is trusted to be the same twice.
func replace(dir int, name string, text []byte) error {
	half := fmt.Sprintf(".%s.%x", name, rand.Uint64())
	fd, err := unix.Openat(dir, half, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: half, Err: err}
	}
	f := os.NewFile(uintptr(fd), half)
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = unix.Renameat(dir, half, dir, name)
	}
	if err != nil {
		_ = unix.Unlinkat(dir, half, 0)
	}
	return err
}
