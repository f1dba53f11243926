package hostprep

import (
	"errors"
	"fmt"
	"io"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// User is whom a QEMU process runs as.
type User struct {
	Name   string
	UID    int
	GID    int
	Groups []int // all of them, GID among them
}

// in says whether the user is in a group.
func (u User) in(gid int) bool { return slices.Contains(u.Groups, gid) }

// QEMUUser finds whom the system driver runs QEMU as: the user of qemu.conf,
// else the one of the distribution, else root, which is libvirt's own default.
func (h Host) QEMUUser(conf QEMUConf) (User, error) {
	if conf.User != "" {
		return h.user(conf.User, conf.Group)
	}
	for _, name := range []string{"libvirt-qemu", "qemu"} { // Debian; Fedora, SUSE, Arch
		if u, err := h.user(name, conf.Group); !errors.Is(err, errNoUser) {
			return u, err
		}
	}
	return h.user("+0", conf.Group)
}

var (
	errNoUser  = errors.New("no such user")
	errNoGroup = errors.New("no such group")
)

// user looks a user up as libvirt's virGetUserID() does: by name, then by
// number; a + says that it is a number. group, if not "", is added and comes
// first. What is in no file is asked of the name services (LDAP and the like).
func (h Host) user(name, group string) (User, error) {
	return once(h, "user "+name+":"+group, func() (User, error) { return h.findUser(name, group) })
}

func (h Host) findUser(name, group string) (User, error) {
	users, groups, err := h.accounts()
	if err != nil {
		return User{}, err
	}
	var u User
	if a, ok := find(users, name); ok {
		u = User{Name: a.name, UID: a.id, GID: a.gid, Groups: []int{a.gid}}
		for _, g := range groups {
			if slices.Contains(g.members, a.name) {
				u.Groups = append(u.Groups, g.id)
			}
		}
	} else if uid, ok := number(name); ok {
		u = User{Name: name, UID: uid, GID: uid, Groups: []int{uid}}
	} else if !h.real() {
		return User{}, fmt.Errorf("%w: %s", errNoUser, name)
	} else if u, err = lookupUser(name); err != nil {
		return User{}, err
	}
	if group != "" {
		a, ok := find(groups, group)
		if !ok {
			if a.id, ok = number(group); !ok {
				return User{}, fmt.Errorf("%w: %s", errNoGroup, group)
			}
		}
		u.GID = a.id
		u.Groups = append(u.Groups, a.id)
	}
	return u, nil
}

// lookupUser asks the system's name services.
func lookupUser(name string) (User, error) {
	found, err := user.Lookup(name)
	if errors.As(err, new(user.UnknownUserError)) {
		return User{}, fmt.Errorf("%w: %s", errNoUser, name)
	}
	if err != nil {
		return User{}, fmt.Errorf("%w: %w", errNoUser, err)
	}
	ids, err := found.GroupIds()
	if err != nil {
		return User{}, err
	}
	u := User{Name: name}
	u.UID, _ = number(found.Uid)
	u.GID, _ = number(found.Gid)
	for _, id := range ids {
		gid, _ := number(id)
		u.Groups = append(u.Groups, gid)
	}
	return u, nil
}

// home is the folder of a user's own files.
func (h Host) home(u User) (string, error) {
	users, _, err := h.accounts()
	if err != nil {
		return "", err
	}
	if a, ok := find(users, u.Name); ok {
		return h.resolve(a.home), nil
	}
	if !h.real() {
		return "", fmt.Errorf("%w: %s", errNoUser, u.Name)
	}
	found, err := user.Lookup(u.Name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoUser, err)
	}
	return h.resolve(found.HomeDir), nil
}

// group looks a group up by name or number; one of the name services' is found,
// too.
func (h Host) group(name string) (account, error) {
	_, groups, err := h.accounts()
	if err != nil {
		return account{}, err
	}
	if a, ok := find(groups, name); ok {
		return a, nil
	}
	if !h.real() {
		return account{}, fmt.Errorf("%w: %s", errNoGroup, name)
	}
	found, err := user.LookupGroup(name)
	if err != nil {
		return account{}, fmt.Errorf("%w: %w", errNoGroup, err)
	}
	gid, _ := number(found.Gid)
	return account{name: found.Name, id: gid}, nil
}

// groupName is what a group of this number is called; without a name it is the
// number.
func (h Host) groupName(gid int) string {
	if _, groups, err := h.accounts(); err == nil {
		if a, ok := find(groups, "+"+strconv.Itoa(gid)); ok {
			return a.name
		}
	}
	return strconv.Itoa(gid)
}

// find looks an account up by name, then by number.
func find(accounts []account, name string) (account, bool) {
	i := slices.IndexFunc(accounts, func(a account) bool { return a.name == name })
	if id, ok := number(name); ok && i < 0 {
		i = slices.IndexFunc(accounts, func(a account) bool { return a.id == id })
	}
	if i < 0 {
		return account{}, false
	}
	return accounts[i], true
}

// number reads an id such as 64055 or +64055.
func number(text string) (int, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, 32)
	return int(n), err == nil
}

// account is one line of passwd or group.
type account struct {
	name    string
	id      int
	gid     int      // of a user
	home    string   // of a user
	members []string // of a group
}

func (h Host) accounts() (passwd, groups []account, err error) {
	for name, to := range map[string]*[]account{"passwd": &passwd, "group": &groups} {
		text, err := h.readIfThere("/etc/" + name)
		if err != nil {
			return nil, nil, err
		}
		if *to, err = parseAccounts(strings.NewReader(text)); err != nil {
			return nil, nil, err
		}
	}
	return passwd, groups, nil
}

// parseAccounts reads passwd and group, which have the name first and the
// number third:
//
//	libvirt-qemu:x:64055:107:Libvirt Qemu,,,:/var/lib/libvirt:/usr/sbin/nologin
//	kvm:x:107:libvirt-qemu,alice
//
// Like glibc it goes over a line that is none of these: + entries of NIS,
// comments.
func parseAccounts(r io.Reader) ([]account, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var accounts []account
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 || f[0] == "" {
			continue
		}
		id, ok := number(f[2])
		if !ok {
			continue
		}
		a := account{name: f[0], id: id}
		if len(f) >= 7 {
			if a.gid, ok = number(f[3]); !ok {
				continue
			}
			a.home = f[5]
		} else {
			a.members = strings.Split(f[3], ",")
		}
		accounts = append(accounts, a)
	}
	return accounts, nil
}
