package host

import (
	"cmp"
	"errors"
	"fmt"
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

// In says whether the user is in a group.
func (u User) In(gid int) bool { return slices.Contains(u.Groups, gid) }

var (
	ErrNoUser  = errors.New("no such user")
	ErrNoGroup = errors.New("no such group")
)

// User looks a user up as libvirt's virGetUserID() does: by name, then by
// number; a + says that it is a number. group, if not "", is added and comes
// first. What is in no file is asked of the name services (LDAP and the like).
func (h Host) User(name, group string) (User, error) {
	return Once(h, cacheKey("user "+name+":"+group), func() (User, error) { return h.findUser(name, group) })
}

func (h Host) findUser(name, group string) (User, error) {
	users, groups, err := h.Accounts()
	if err != nil {
		return User{}, err
	}
	var u User
	if a, ok := Find(users, name); ok {
		u = User{Name: a.Name, UID: a.Id, GID: a.gid, Groups: []int{a.gid}}
		for _, g := range groups {
			if g.HasMember(a.Name) {
				u.Groups = append(u.Groups, g.Id)
			}
		}
	} else if uid, ok := number(name); ok {
		u = User{Name: name, UID: uid, GID: uid, Groups: []int{uid}}
	} else if !h.Real() {
		return User{}, fmt.Errorf("%w: %s", ErrNoUser, name)
	} else if u, err = lookupUser(name); err != nil {
		return User{}, err
	}
	if group != "" {
		a, ok := Find(groups, group)
		if !ok {
			if a.Id, ok = number(group); !ok {
				return User{}, fmt.Errorf("%w: %s", ErrNoGroup, group)
			}
		}
		u.GID = a.Id
		if !u.In(a.Id) {
			u.Groups = append(u.Groups, a.Id)
		}
	}
	return u, nil
}

// lookupUser asks the system's name services.
func lookupUser(name string) (User, error) {
	found, err := user.Lookup(name)
	if errors.As(err, new(user.UnknownUserError)) {
		return User{}, fmt.Errorf("%w: %s", ErrNoUser, name)
	}
	if err != nil {
		return User{}, fmt.Errorf("%w: %w", ErrNoUser, err)
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

// Home is the folder of a user's own files.
func (h Host) Home(u User) (string, error) {
	users, _, err := h.Accounts()
	if err != nil {
		return "", err
	}
	if a, ok := Find(users, u.Name); ok {
		return h.Resolve(a.home), nil
	}
	if !h.Real() {
		return "", fmt.Errorf("%w: %s", ErrNoUser, u.Name)
	}
	found, err := user.Lookup(u.Name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoUser, err)
	}
	return h.Resolve(found.HomeDir), nil
}

// Group looks a group up by name or number; one of the name services' is found,
// too.
func (h Host) Group(name string) (Account, error) {
	_, groups, err := h.Accounts()
	if err != nil {
		return Account{}, err
	}
	if a, ok := Find(groups, name); ok {
		return a, nil
	}
	if !h.Real() {
		return Account{}, fmt.Errorf("%w: %s", ErrNoGroup, name)
	}
	found, err := user.LookupGroup(name)
	if err != nil {
		return Account{}, fmt.Errorf("%w: %w", ErrNoGroup, err)
	}
	gid, _ := number(found.Gid)
	return Account{Name: found.Name, Id: gid}, nil
}

// GroupName is what a group of this number is called; without a name it is the
// number.
func (h Host) GroupName(gid int) string {
	name, _ := h.NamedGroup(gid)
	return cmp.Or(name, strconv.Itoa(gid))
}

// NamedGroup is the name of a group of this number; false: it has none, and so no members.
func (h Host) NamedGroup(gid int) (string, bool) {
	_, groups, err := h.Accounts()
	if err != nil {
		return "", false
	}
	a, ok := Find(groups, "+"+strconv.Itoa(gid))
	return a.Name, ok
}

// Find looks an account up by name, then by number.
func Find(accounts []Account, name string) (Account, bool) {
	i := slices.IndexFunc(accounts, func(a Account) bool { return a.Name == name })
	if id, ok := number(name); ok && i < 0 {
		i = slices.IndexFunc(accounts, func(a Account) bool { return a.Id == id })
	}
	if i < 0 {
		return Account{}, false
	}
	return accounts[i], true
}

// number reads an id such as 64055 or +64055.
func number(text string) (int, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, 32)
	return int(n), err == nil
}

// Account is one line of passwd or group.
type Account struct {
	Name    string
	Id      int
	gid     int    // of a user
	home    string // of a user
	members string // of a group: alice,bob
}

// HasMember says whether a group names a user, who may be in it without that as well.
func (a Account) HasMember(user string) bool {
	for one := range strings.SplitSeq(a.members, ",") {
		if one == user {
			return true
		}
	}
	return false
}

func (h Host) Accounts() (passwd, groups []Account, err error) {
	users, err := h.ReadIfThere("/etc/passwd")
	if err != nil {
		return nil, nil, err
	}
	text, err := h.ReadIfThere("/etc/group")
	if err != nil {
		return nil, nil, err
	}
	return ParseAccounts(users), ParseAccounts(text), nil
}

// ParseAccounts reads passwd and group, which have the name first and the
// number third:
//
//	libvirt-qemu:x:64055:107:Libvirt Qemu,,,:/var/lib/libvirt:/usr/sbin/nologin
//	kvm:x:107:libvirt-qemu,alice
//
// Like glibc it goes over a line that is none of these: + entries of NIS,
// comments.
func ParseAccounts(text string) []Account {
	accounts := make([]Account, 0, strings.Count(text, "\n")+1)
	for line := range strings.Lines(text) {
		var f [7]string
		n := 0
		for field := range strings.SplitSeq(strings.TrimSpace(line), ":") {
			if n < len(f) {
				f[n] = field
			}
			n++
		}
		if n < 4 || f[0] == "" {
			continue
		}
		id, ok := number(f[2])
		if !ok {
			continue
		}
		a := Account{Name: f[0], Id: id}
		if n >= len(f) {
			if a.gid, ok = number(f[3]); !ok {
				continue
			}
			a.home = f[5]
		} else {
			a.members = f[3]
		}
		accounts = append(accounts, a)
	}
	return accounts
}
