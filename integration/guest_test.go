package integration

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"libvirt.org/go/libvirt"

	"vmhuge/internal/versions"
)

// guest is a small TCG guest. The zero value has 64 MiB, no huge pages, and
// nothing to boot: enough for a paused start, which takes every page.
type guest struct {
	name     string // what the test is called, if empty
	memory   string // <memory> and its kin; 64 MiB if empty
	backing  string // what is in <memoryBacking>
	more     string // further children of <domain>
	devices  string // further children of <devices>
	noACPI   bool
	onReboot string // destroy, if empty
	kvm      bool
	balloon  bool
	boots    bool   // has the demo's kernel, and a console; needs 96 MiB to come up
	works    bool   // as it boots, it writes memory and reads it again, and tells its console
	kernel   string // its own, with a console
}

const (
	pages2M = "<hugepages><page size='2048' unit='KiB'/></hugepages>"
	pages1G = "<hugepages><page size='1' unit='GiB'/></hugepages>"
)

var unfitForName = regexp.MustCompile(`[^A-Za-z0-9-]+`)

// domainName makes a domain's name from the test's. It stays short, because
// libvirt makes it part of the path of a socket.
func domainName(t *testing.T) string {
	name := unfitForName.ReplaceAllString(strings.TrimPrefix(strings.TrimPrefix(t.Name(), "Test"), "MicroVM"), "-")
	return guestPrefix + name[:min(len(name), 40)]
}

func (g guest) xml() string {
	memory, boot, console, backing := g.memory, "", "", ""
	if memory == "" {
		memory = "<memory unit='MiB'>64</memory>"
	}
	if g.backing != "" {
		backing = "<memoryBacking>" + g.backing + "</memoryBacking>"
	}
	kind, acpi := "qemu", "<acpi/>"
	if g.kvm {
		kind = "kvm"
	}
	balloon := "none"
	if g.balloon {
		balloon = "virtio"
	}
	if g.noACPI {
		acpi = ""
	}
	if g.boots {
		work := ""
		if g.works {
			work = " vmhuge.work"
		}
		boot = fmt.Sprintf("<kernel>%s/vmlinuz</kernel><initrd>%s/initrd.gz</initrd><cmdline>console=ttyS0 quiet panic=-1 no_timer_check%s</cmdline>", bootDir, bootDir, work)
	} else if g.kernel != "" {
		boot = "<kernel>" + g.kernel + "</kernel>"
	}
	if boot != "" {
		console = fmt.Sprintf("<serial type='file'><source path='%s'/></serial>", g.console())
	}
	return fmt.Sprintf(`<domain type='%s'>
  <name>%s</name>
  %s
  %s
  <os><type arch='x86_64' machine='q35'>hvm</type>%s</os>
  <features>%s</features>
  %s
  <on_reboot>%s</on_reboot>
  <devices>
    <controller type='usb' model='none'/>
    <memballoon model='%s'/>
    %s
    %s
  </devices>
</domain>
`, kind, html.EscapeString(g.name), memory, backing, boot, acpi, g.more, cmp.Or(g.onReboot, "destroy"), balloon, console, g.devices)
}

// console is the file that the serial console is written to.
func (g guest) console() string { return "/var/log/libvirt/" + g.name + ".console" }

// define makes the guest known to libvirt until the end of the test.
func define(t *testing.T, g guest) *libvirt.Domain {
	t.Helper()
	if g.name == "" {
		g.name = domainName(t)
	}
	dom, err := tryDefine(t, g)
	if err != nil {
		t.Fatalf("defining %s: %v\n%s", g.name, err, g.xml())
	}
	return dom
}

// tryDefine is define for a guest that libvirt may refuse.
func tryDefine(t *testing.T, g guest) (*libvirt.Domain, error) {
	t.Helper()
	dom, err := libvirtd.conn.DomainDefineXML(g.xml())
	if err != nil {
		g.needed(t, err)
		return nil, err
	}
	t.Cleanup(func() {
		_ = dom.Free()
		dom := lookup(t, g.name) // over today's connection: libvirtd may have been restarted
		destroy(t, dom)
		undefine(t, dom)
		if err := os.Remove(g.console()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	return dom, nil
}

// newer is what a domain's XML may have only with a newer libvirt.
var newer = map[string]versions.Rule{"mode='restrictive'": versions.Restrictive, "model='virtio-mem'": versions.VirtioMem}

// needed skips the test if this libvirt refused the guest for something that it is too old for.
func (g guest) needed(t *testing.T, refused error) {
	t.Helper()
	for text, since := range newer {
		if strings.Contains(g.xml(), text) && !here(t, since) {
			t.Log(refused)
			t.Skip("since " + since.String())
		}
	}
}

// here says whether this machine's libvirt with its QEMU is of such versions.
func here(t *testing.T, rule versions.Rule) bool {
	t.Helper()
	libvirt, err := libvirtd.conn.GetLibVersion()
	if err != nil {
		t.Fatal(err)
	}
	qemu, err := libvirtd.conn.GetVersion()
	if err != nil {
		t.Fatal(err)
	}
	return rule.In(libvirt, qemu)
}

func lookup(t *testing.T, name string) *libvirt.Domain {
	t.Helper()
	dom, err := libvirtd.conn.LookupDomainByName(name)
	if err != nil {
		t.Fatalf("looking up %s: %v", name, err)
	}
	return dom
}

func undefine(t *testing.T, dom *libvirt.Domain) {
	t.Helper()
	if err := dom.UndefineFlags(libvirt.DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.DOMAIN_UNDEFINE_SNAPSHOTS_METADATA); err != nil {
		t.Errorf("undefining: %v", err)
	}
	_ = dom.Free()
}

// start starts the guest and fails the test if it does not start.
func start(t *testing.T, dom *libvirt.Domain) {
	t.Helper()
	if err := dom.Create(); err != nil {
		t.Fatalf("starting: %v", err)
	}
}

// startPaused starts the guest, which then has its memory but never runs.
func startPaused(t *testing.T, dom *libvirt.Domain) {
	t.Helper()
	if err := tryStartPaused(dom); err != nil {
		t.Fatalf("starting paused: %v", err)
	}
}

func tryStartPaused(dom *libvirt.Domain) error {
	return dom.CreateWithFlags(libvirt.DOMAIN_START_PAUSED)
}

// startFails wants the start to fail with these words.
func startFails(t *testing.T, dom *libvirt.Domain, want string) {
	t.Helper()
	if err := tryStartPaused(dom); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the start ended with:\n%v\nand should have failed with:\n%s", err, want)
	}
}

// destroy ends the guest if it is active.
func destroy(t *testing.T, dom *libvirt.Domain) {
	t.Helper()
	active, err := dom.IsActive()
	if err == nil && active {
		err = dom.Destroy()
		// libvirt may have seen the end of QEMU before it came to that.
		if gone := (libvirt.Error{}); errors.As(err, &gone) && gone.Code == libvirt.ERR_OPERATION_INVALID {
			if active, asked := dom.IsActive(); asked == nil && !active {
				err = nil
			}
		}
	}
	if err != nil {
		t.Errorf("destroying: %v", err)
	}
}

// hangs is how long tests wait for what comes soon: longer than a busy machine needs for it. It
// passes only where something hangs.
const hangs = 10 * time.Minute

// waitUntil polls, and fails the test if it has to do so for too long.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	limit := time.Minute
	if isMicroVM(t) { // where a guest's processor is emulated by one that is emulated
		limit *= 15
	}
	deadline := time.Now().Add(limit)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// greeting waits for the line that the guest prints when it is up.
func greeting(t *testing.T, dom *libvirt.Domain) string {
	t.Helper()
	var line string
	path := guest{name: nameOf(t, dom)}.console()
	waitUntil(t, "the guest prints its line to "+path, func() bool {
		console, _ := os.ReadFile(path)
		_, rest, found := strings.Cut(string(console), "vmhuge-demo: ")
		var complete bool
		line, _, complete = strings.Cut(rest, "\n")
		return found && complete
	})
	return strings.TrimSpace(line)
}

func nameOf(t *testing.T, dom *libvirt.Domain) string {
	t.Helper()
	name, err := dom.GetName()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// pidOf returns the guest's QEMU.
func pidOf(t *testing.T, dom *libvirt.Domain) int {
	t.Helper()
	var pid int
	if err := readNumber(filepath.Join("/run/libvirt/qemu", nameOf(t, dom)+".pid"), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

// pagesOf returns the huge pages in a process's page tables, by size.
//
//	7f2a40000000-7f2a44000000 rw-p 00000000 00:5a 30  /dev/hugepages/…/qemu_back_mem.pc.ram.HQ2nHZ (deleted)
//	KernelPageSize:     2048 kB
//	Shared_Hugetlb:        0 kB
//	Private_Hugetlb:   65536 kB
func pagesOf(t *testing.T, pid int) pageCount {
	t.Helper()
	count, err := readPages(pid)
	if err != nil {
		t.Fatal(err)
	}
	return count
}

func readPages(pid int) (pageCount, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	count := pageCount{}
	pageKiB := 0
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 || fields[2] != "kB" {
			continue
		}
		kib, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, fmt.Errorf("smaps: %q: %w", lines.Text(), err)
		}
		switch fields[0] {
		case "KernelPageSize:":
			pageKiB = kib
		case "Shared_Hugetlb:", "Private_Hugetlb:":
			count[pageKiB] += kib / pageKiB
		}
	}
	return count.nonZero(), lines.Err()
}
