package explain

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/troubleshooting.md anew")

const head = `# What libvirt and QEMU say, and what it means

All messages of libvirt and QEMU about huge pages that vmhuge knows: what causes each,
and what to do. ` + "`vmhuge explain`" + ` looks them up, and ` + "`vmhuge start`" + ` names the cause when
a start fails. In the messages … stands for any text, PATH for a path and ¶ for the end of
the line. In the cures DOMAIN is the domain, DAEMON libvirt's daemon (virtqemud where the daemons are split,
libvirtd elsewhere), USER whom QEMU runs as, INSTALL the command of the package manager and
UNIT the last part of PATH; ` + "`vmhuge explain`" + ` fills them in.

Some messages have several causes. ` + "`vmhuge explain --domain NAME`" + ` then checks the host to
tell which one it is.

A test generates this page from the tables in explain/.
`

func TestTroubleshooting(t *testing.T) {
	var page strings.Builder
	page.WriteString(head)
	for _, row := range Rows() {
		fmt.Fprintf(&page, "\n## %s\n\n", row.ID)
		for _, says := range row.Says {
			fmt.Fprintf(&page, "    %s\n", says)
		}
		if len(row.Codes) > 0 {
			fmt.Fprintf(&page, "\nlibvirt's code: %s\n", strings.Trim(fmt.Sprint(row.Codes), "[]"))
		}
		if row.Versions != "" {
			fmt.Fprintf(&page, "\nSaid by: %s\n", row.Versions)
		}
		if len(row.On) > 0 {
			where := "a hugetlbfs"
			switch row.On[0] {
			case Enclave:
				where = "the processor's enclave memory"
			case SharedMem:
				where = "a file system other than a hugetlbfs"
			case Looking:
				where = "/dev/kvmfr0"
			case Anonymous:
				if where = "no huge pages and in no file"; len(row.On) > 1 {
					where = "anything but Proxmox VE's hugetlbfs"
				}
			case Device:
				where = "a <shmem> device, which is not the guest's RAM"
			case Proxmox:
				where = "the hugetlbfs of Proxmox VE"
			}
			fmt.Fprintf(&page, "\nOnly of memory on %s.\n", where)
		}
		if len(row.With) > 0 {
			fmt.Fprintf(&page, "\nOnly in a text with one of: %s.\n", strings.Join(row.With, ", "))
		}
		fmt.Fprintf(&page, "\n- Cause: %s\n- Do: %s\n", row.Cause, row.Do)
		if row.Small != "" {
			fmt.Fprintf(&page, "- Do where the pages are the smallest huge ones: %s\n", row.Small)
		}
		if row.Own != "" {
			fmt.Fprintf(&page, "- Do without libvirt: %s\n", row.Own)
		}
		if row.Check != "" {
			fmt.Fprintf(&page, "- Seen by: `vmhuge check`, as `%s`\n", row.Check)
		}
	}
	page.WriteString("\n# Platforms that start guests themselves\n\nWhere the text shows that the guest is one of these, a cure that names DOMAIN gives way to:\n")
	for _, p := range platforms {
		fmt.Fprintf(&page, "\n## %s\n\n- Too few pages: %s\n- The guest: %s\n", p.name, p.pages, p.guest)
	}
	const path = "../docs/troubleshooting.md"
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), page.String()); diff != "" {
		t.Errorf("%s is not what the table says; if that is right: go test ./explain -run TestTroubleshooting -update\n%s", path, diff)
	}
}
