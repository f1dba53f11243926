package xml

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vmhuge/internal/advice"
	"vmhuge/internal/pages"
)

// outcome says in a line what a document demands: "2048 × 2 MiB" for each size,
// "thp", "none", or the error.
func outcome(doc []byte, err error) string {
	if err == nil {
		err = ForQEMU(doc)
	}
	var demand pages.Demand
	if err == nil {
		demand, err = Demand(doc, 0)
	}
	if err != nil {
		return err.Error()
	}
	if demand.Backing != pages.Hugetlb {
		return string(demand.Backing)
	}
	var parts []string
	for _, total := range demand.Totals() {
		parts = append(parts, fmt.Sprintf("%d × %s", total.Pages, total.PageSize))
	}
	return strings.Join(parts, ", ")
}

// usually is what enable asks for without flags.
var usually = Backing{Usual: true, Keep: true}

// The documents of testdata/domains: shapes from bug reports and public
// repositories, each named for what is odd in it.
func TestDomains(t *testing.T) {
	const refused = "of type 'xen'"
	gib := Backing{PageSize: pages.Size1GiB, Round: true}
	for name, test := range map[string]struct {
		demand, enabled string
		want            Backing // zero: usually
		caution         string
	}{
		"qemu-arguments":          {"none", "2048 × 2 MiB", Backing{}, "-object memory-backend-file, -numa …,memdev=, -mem-prealloc"},
		"current-above-memory":    {"8 × 1 GiB", "8 × 1 GiB", Backing{}, "its <currentMemory> of 8400000 KiB is above its <memory> of 8 GiB"},
		"maxmemory-equals-memory": {"none", "2 × 1 GiB", gib, ""},
		"ppc64-odd":               {"none", "128 × 2 MiB", Backing{}, ""},
		"sev-snp":                 {"none", "2048 × 2 MiB", Backing{}, "guest_memfd"},
		"xen":                     {refused, refused, Backing{}, ""},
		"dimm-without-acpi":       {"none", "memory devices need ACPI", Backing{Source: "file"}, "add <acpi/> to <features>"},
		"unknown-access":          {"libvirt knows no memAccess 'invalid'; take shared, private", "memAccess 'invalid'", Backing{}, ""},
		"memory-in-files":         {"none", "thp", Backing{THP: true}, ""},
		"kib-for-mib":             {"no x86_64 kernel has huge pages of 1 MiB; 1 GiB was probably meant: size='1048576' unit='KiB'", "1 GiB was probably meant", Backing{}, ""},
		"virtiofs-unshared":       {"-1 × the default size", "2048 × 2 MiB", Backing{}, "add <access mode='shared'/>"},
		"vhostuser-unshared":      {"none", "2048 × 2 MiB", Backing{}, "add <access mode='shared'/>"},
		"passthrough-limited":     {"-1 × the default size", "8192 × 2 MiB", Backing{}, "its <hard_limit> of 16 GiB is no more than its memory of 16 GiB"},
		"virtio-mem-small-block":  {"its blocks of 2 MiB are smaller than its pages of 1 GiB; raise <block> to that size", "raise <block>", Backing{}, ""},
		"dimm-odd":                {"2305 × 2 MiB", "2305 × 2 MiB", Backing{}, ""},
		"nosharepages":            {"-1 × the default size", "2048 × 2 MiB", Backing{}, ""},
		"aarch64":                 {"2048 × 2 MiB", "2048 × 2 MiB", Backing{}, ""},
		"ppc64le-16m":             {"256 × 16 MiB", "256 × 16 MiB", Backing{}, ""},
		"shared-without-source":   {"none", "4096 × 2 MiB", Backing{}, ""},
		"less-than-1g":            {"its 512 MiB are less than one page of 1 GiB; take smaller pages (--size)", "256 × 2 MiB", Backing{PageSize: pages.Size2MiB}, ""},
		"no-unit":                 {"no x86_64 kernel has huge pages of 2 KiB; 2 MiB was probably meant: size='2048' unit='KiB'", "2048 × 2 MiB", Backing{}, ""},
		"misplaced":               {"none", "2048 × 2 MiB", Backing{}, "it belongs into <memoryBacking>"},
		"two-pages-for-all":       {"it has two <page> for the same memory: 1 GiB and 2 MiB", "two <page>", Backing{}, ""},
		"nodeset-0-without-cells": {"4 × 1 GiB", "4 × 1 GiB", Backing{}, ""},
		"nodeset-1-without-cells": {"it has pages for cell 1, which the guest does not have", "cell 1", Backing{}, ""},
		"sev":                     {"-1 × the default size", "2048 × 2 MiB", Backing{}, ""},
		"s390x":                   {"none", "4096 × 1 MiB", Backing{}, ""},
		"loongarch64":             {"none", "128 × 32 MiB", Backing{}, ""},
	} {
		doc, err := os.ReadFile(filepath.Join("testdata/domains", name+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		if got := outcome(doc, nil); !strings.Contains(got, test.demand) {
			t.Errorf("%s: demands %s, not %s", name, got, test.demand)
		}
		if test.want.PageSize == 0 && test.want.Source == "" && !test.want.THP {
			test.want = usually
		}
		out, err := Rewrite(doc, test.want)
		if got := outcome(out, err); err == nil && test.enabled != refused || err != nil {
			if !strings.Contains(got, test.enabled) {
				t.Errorf("%s: enabled it is %s, not %s", name, got, test.enabled)
			}
		}
		got := strings.Join(CautionTexts(doc), "\n")
		if !strings.Contains(got, test.caution) || (got == "") != (test.caution == "") {
			t.Errorf("%s: it is said %q, not %q", name, got, test.caution)
		}
	}
}

func on(arch string) string { return "<os><type arch='" + arch + "'>hvm</type></os>" }

func page(size, unit string) string {
	return backed("<hugepages><page size='" + size + "' unit='" + unit + "'/></hugepages>")
}

// Which sizes there are, by architecture: pages() in libvirt's tests has the same.
func TestSizesOfArchitectures(t *testing.T) {
	four := "<memory unit='GiB'>4</memory>"
	for _, test := range []struct{ arch, size, unit, want string }{
		{"x86_64", "2", "MiB", "2048 × 2 MiB"}, {"x86_64", "1", "GiB", "4 × 1 GiB"}, {"i686", "2048", "KiB", "2048 × 2 MiB"},
		{"x86_64", "4", "KiB", "none"}, {"x86_64", "64", "KiB", "no x86_64 kernel has huge pages of 64 KiB"},
		{"x86_64", "16", "MiB", "take 2 MiB or 1 GiB"}, {"x86_64", "1", "KiB", "1 GiB was probably meant"},
		{"x86_64", "2048", "MiB", "2 MiB was probably meant"}, {"x86_64", "2048", "b", "2 MiB was probably meant"},
		{"x86_64", "1", "MiB", "1 GiB was probably meant"}, {"x86_64", "1024", "GiB", "1 GiB was probably meant"}, {"x86_64", "3", "MiB", "take 2 MiB or 1 GiB"},
		{"aarch64", "64", "KiB", "65536 × 64 KiB"}, {"aarch64", "32", "MiB", "128 × 32 MiB"}, {"aarch64", "512", "MiB", "8 × 512 MiB"},
		{"aarch64", "16", "KiB", "none"}, {"aarch64", "1", "MiB", "1 GiB was probably meant"}, {"aarch64", "16", "MiB", "16 GiB was probably meant"},
		{"s390x", "1", "MiB", "4096 × 1 MiB"}, {"s390x", "2", "GiB", "KVM on s390x takes no pages of 2 GiB; take 1 MiB"}, {"s390x", "2", "MiB", "no s390x kernel"},
		{"s390x", "1", "KiB", "1 MiB was probably meant"},
		{"ppc64le", "2", "MiB", "2048 × 2 MiB"}, {"ppc64le", "16", "MiB", "256 × 16 MiB"}, {"ppc64le", "64", "KiB", "none"}, {"ppc64", "1", "GiB", "4 × 1 GiB"},
		{"riscv64", "2", "MiB", "2048 × 2 MiB"}, {"riscv64", "16", "MiB", "no riscv64 kernel"}, {"loongarch64", "32", "MiB", "128 × 32 MiB"},
	} {
		if got := outcome(guest(four, on(test.arch), page(test.size, test.unit)), nil); !strings.Contains(got, test.want) {
			t.Errorf("%s with pages of %s %s: %s, not %s", test.arch, test.size, test.unit, got, test.want)
		}
	}
	// An emulated guest has the pages of its host, which is any.
	emulated := strings.Replace(string(guest(four, on("x86_64"), page("16", "MiB"))), "kvm", "qemu", 1)
	if got := outcome([]byte(emulated), nil); got != "256 × 16 MiB" {
		t.Errorf("an emulated guest: %s", got)
	}
	for _, test := range []struct {
		arch string
		have []pages.Size
		want string
	}{
		{"s390x", nil, "4096 × 1 MiB"}, {"aarch64", nil, "2048 × 2 MiB"}, {"ppc64", nil, "2048 × 2 MiB"}, {"i686", nil, "2048 × 2 MiB"}, {"riscv64", nil, "2048 × 2 MiB"},
		{"aarch64", []pages.Size{2 << 20, 512 << 20, 16 << 30}, "8 × 512 MiB"}, {"aarch64", []pages.Size{2 << 20, 32 << 20, 1 << 30}, "128 × 32 MiB"},
		{"ppc64le", []pages.Size{16 << 20, 16 << 30}, "256 × 16 MiB"}, {"x86_64", []pages.Size{1 << 30}, "4 × 1 GiB"},
	} {
		out, err := Rewrite(guest(four, on(test.arch)), Backing{Usual: true, Keep: true, Have: test.have})
		if got := outcome(out, err); got != test.want {
			t.Errorf("%s on a kernel with %v: %s, not %s", test.arch, test.have, got, test.want)
		}
	}
	// A size that this host's kernel lacks is refused, where the guest is for this host.
	for _, test := range []struct {
		arch, hostArch string
		size           pages.Size
		want           string
	}{
		{"aarch64", "arm64", 64 << 10, "this host's kernel has no huge pages of 64 KiB, only of 2 MiB, 32 MiB, 1 GiB; take 32 MiB"},
		{"armv7l", "arm64", 512 << 20, "this host's kernel has no huge pages of 512 MiB"},
		{"aarch64", "arm64", 2 << 20, "2048 × 2 MiB"}, {"aarch64", "", 64 << 10, "65536 × 64 KiB"},
		{"s390x", "arm64", 1 << 20, "4096 × 1 MiB"}, {"aarch64", "arm64", 16 << 10, "pages of 16 KiB are not huge"},
		{"ppc64le", "ppc64le", 16 << 20, "this host's kernel has no huge pages of 16 MiB"},
	} {
		out, err := Rewrite(guest(four, on(test.arch)), Backing{PageSize: test.size, HostArch: test.hostArch, Have: []pages.Size{2 << 20, 32 << 20, 1 << 30}})
		if got := outcome(out, err); !strings.Contains(got, test.want) {
			t.Errorf("%s on %s with --size %s: %s, not %s", test.arch, test.hostArch, test.size, got, test.want)
		}
	}
	// libvirt makes RAM, cells and devices of ppc64 multiples of 256 MiB.
	for parts, want := range map[string]string{
		"<memory unit='MiB'>214</memory>": "128 × 2 MiB", "<memory unit='MiB'>256</memory>": "128 × 2 MiB", "<memory unit='MiB'>257</memory>": "256 × 2 MiB",
		numa("<cell memory='1'/><cell memory='300' unit='MiB'/>"): "384 × 2 MiB",
		"<maxMemory slots='1' unit='GiB'>4</maxMemory>" + numa("<cell memory='1' unit='GiB'/>") + device("dimm", "<target><size unit='MiB'>100</size><node>0</node></target>"): "640 × 2 MiB",
	} {
		if got := outcome(guest(parts, on("ppc64le"), page("2", "MiB")), nil); got != want {
			t.Errorf("%s: %s, not %s", parts, got, want)
		}
	}
}

// What libvirt refuses when it is defined is refused before, also where no huge
// page is asked for.
func TestUnknownValues(t *testing.T) {
	dimm := func(attrs, source string) string {
		return numa(twoOf64) + "<devices><memory " + attrs + ">" + source + target128 + "</memory></devices>"
	}
	for doc, want := range map[string]string{
		backed("<source type='hugetlbfs'/>"):                                     "<source> of type 'hugetlbfs'; take file, anonymous, memfd",
		backed("<source type='Memfd'/>"):                                         "<source> of type 'Memfd'",
		backed("<source type='none'/>"):                                          "<source> of type 'none'",
		backed("<access mode='share'/>"):                                         "<access> of mode 'share'; take shared, private",
		backed("<access mode='default'/>"):                                       "<access> of mode 'default'",
		backed("<allocation mode='prealloc'/>"):                                  "<allocation> of mode 'prealloc'; take immediate, ondemand",
		backed("<allocation mode='none'/>"):                                      "<allocation> of mode 'none'",
		numa("<cell memory='65536' memAccess='SHARED'/>"):                        "memAccess 'SHARED'",
		numa("<cell memory='65536' memAccess='default'/>"):                       "memAccess 'default'",
		numa("<cell memory='65536' discard='maybe'/>"):                           "discard 'maybe'",
		"<numatune><memory mode='bind' nodeset='0'/></numatune>":                 "mode of <numatune> 'bind'; take strict, preferred, interleave, restrictive",
		"<numatune><memory mode='strict' placement='numad'/></numatune>":         "placement 'numad'",
		"<numatune><memnode cellid='0' mode='strictly' nodeset='0'/></numatune>": "mode of <memnode> 'strictly'",
		dimm("model='ddr5'", ""):                                                 "memory of model 'ddr5'; take dimm, nvdimm",
		dimm("model='dimm' access='public'", ""):                                 "access 'public'",
		dimm("model='dimm' discard='on'", ""):                                    "discard 'on'",
	} {
		for _, try := range []func([]byte) error{
			func(doc []byte) error { _, err := Demand(doc, 0); return err },
			func(doc []byte) error { _, err := Rewrite(doc, usually); return err },
			func(doc []byte) error { _, err := Rewrite(doc, Backing{THP: true}); return err },
			func(doc []byte) error { _, err := Traits(doc); return err },
		} {
			if err := try(guest(doc)); err == nil || !strings.Contains(err.Error(), "libvirt knows no "+want) {
				t.Errorf("%s: %v", doc, err)
			}
		}
	}
	for _, doc := range []string{
		backed("<source type='memfd'/><access mode='private'/><allocation mode='ondemand'/>"), backed("<source/><access/><allocation/>"),
		numa("<cell memory='65536' memAccess='private' discard='yes'/>"), "<numatune><memory mode='restrictive' placement='static' nodeset='0'/></numatune>",
		dimm("model='virtio-pmem' access='shared' discard='no'", ""), dimm("model='sgx-epc'", ""),
	} {
		if _, err := Demand(guest(doc), 0); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

// --size default is held to the rules of the usual size.
func TestDefaultSizeHasRules(t *testing.T) {
	acpi := numa(twoOf64) + device("dimm", target128) + on("x86_64")
	for doc, want := range map[string]string{
		"<memory unit='MiB'>63</memory>":                             "its 63 MiB are not a multiple of its pages of 2 MiB",
		"<memory unit='MiB'>1</memory>":                              "less than one page of 2 MiB",
		acpi:                                                         "", // libvirt leaves it to QEMU
		backed("<source type='anonymous'/>"):                         "does not go with huge pages",
		"<memory unit='MiB'>63</memory>" + on("s390x"):               "",
		"<memory unit='MiB'>65</memory>" + on("loongarch64"):         "pages of 32 MiB: 3 of them are 96 MiB",
		numa("<cell memory='33' unit='MiB'/><cell memory='32768'/>"): "cell 0",
	} {
		_, err := Rewrite(guest(doc), Backing{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", doc, err, want)
		}
	}
	out, err := Rewrite(guest("<memory unit='MiB'>63</memory>"), Backing{Round: true})
	if err != nil || !strings.Contains(string(out), "<memory unit='MiB'>64</memory>") || !strings.Contains(string(out), bare) {
		t.Errorf("rounded: %v\n%s", err, out)
	}
}

func TestRoundRaisesMaxMemory(t *testing.T) {
	for doc, want := range map[string]string{
		"<maxMemory slots='1' unit='MiB'>65</maxMemory><memory unit='MiB'>65</memory>":                                                        "<maxMemory slots='1' unit='MiB'>66</maxMemory>",
		"<maxMemory slots='1' unit='MiB'>66</maxMemory><memory unit='MiB'>65</memory>":                                                        "<maxMemory slots='1' unit='MiB'>66</maxMemory>",
		"<maxMemory slots='1' unit='GiB'>1</maxMemory><memory unit='MiB'>65</memory>":                                                         "<maxMemory slots='1' unit='GiB'>1</maxMemory>",
		"<maxMemory slots='1'>66560</maxMemory><memory unit='MiB'>65</memory>":                                                                "<maxMemory slots='1'>67584</maxMemory>",
		"<maxMemory slots='1' unit='MiB'>66</maxMemory><memory unit='MiB'>66</memory>" + numa("<cell memory='33792'/><cell memory='33792'/>"): "<maxMemory slots='1' unit='MiB'>68</maxMemory>",
		"<maxMemory slots='1' unit='MB'>69</maxMemory><memory unit='MiB'>65</memory>":                                                         "<maxMemory slots='1' unit='KiB'>67584</maxMemory>",
	} {
		from := guest(doc)
		out, err := Rewrite(from, Backing{PageSize: pages.Size2MiB, Round: true})
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, no %s in\n%s", doc, err, want, out)
			continue
		}
		if back, err := Revert(out, false); err != nil || string(back) != string(from) {
			t.Errorf("%s: back it is %v\n%s", doc, err, back)
		}
	}
}

func TestForQEMU(t *testing.T) {
	const other, unknown = "the domain is of type '", "libvirt knows no <domain> of type '"
	for kind, want := range map[string]string{"kvm": "", "qemu": "", "hvf": other, "xen": other, "lxc": other, "bhyve": other, "vz": other, "parallels": other,
		"test": other, "openvz": other, "vmware": other, "hyperv": other, "vbox": other, "uml": other, "phyp": other, "kqemu": other,
		"KVM": unknown, "Qemu": unknown, "kvm ": unknown, "qemu-kvm": unknown, "libvirt": unknown, "none": unknown} {
		err := ForQEMU([]byte("<domain type='" + kind + "'><name>a</name><memory>1</memory></domain>"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want+kind+"'") {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, attrs := range []string{"", " type=''", " id='3'", " xmlns:x='urn:x' x:type='kvm'"} {
		err := ForQEMU([]byte("<domain" + attrs + "><name>a</name><memory>1</memory></domain>"))
		if err == nil || !strings.Contains(err.Error(), "memory of a: its <domain> has no type, without which libvirt refuses it; write <domain type='kvm'>") {
			t.Errorf("<domain%s>: %v", attrs, err)
		}
	}
}

// A guest of Secure Execution gets no reserved pages, whatever the size; one that has
// them can be put back.
func TestProtectedGuest(t *testing.T) {
	const protected = "<launchSecurity type='s390-pv'/>"
	for _, doc := range [][]byte{guest(on("s390x"), protected), guest(protected), guest(on("s390x"), backed("<hugepages/>"), protected)} {
		for _, want := range []Backing{usually, {}, {PageSize: 1 << 20}, {Usual: true, Source: "memfd"}} {
			var told *advice.Error
			if out, err := Rewrite(doc, want); !errors.As(err, &told) || told.Cause != protectedGuest || out != nil {
				t.Errorf("%s, %+v: %v", doc, want, err)
			}
		}
	}
	before := guest(on("s390x"))
	after, err := Rewrite(before, usually)
	if err != nil {
		t.Fatal(err)
	}
	add := func(doc []byte) []byte {
		return bytes.Replace(doc, []byte("</domain>"), []byte(protected+"</domain>"), 1)
	}
	if back, err := Revert(add(after), false); err != nil || !bytes.Equal(back, add(before)) {
		t.Errorf("back it is %v\n%s", err, back)
	}
	if _, err := Demand(add(after), 0); err != nil {
		t.Errorf("QEMU takes the pages: %v", err)
	}
}

// What transparent huge pages cost depends on the kernel and on the devices.
func TestTHPCosts(t *testing.T) {
	const protected, split = "<launchSecurity type='s390-pv'/>", "before Linux 7.0 splits the transparent huge pages"
	sharing := devices("<interface type='vhostuser'/>") + backed("<access mode='shared'/>")
	for _, test := range []struct {
		doc   []byte
		wants []string // the costs in order: part of each
		not   string
	}{
		{guest(), nil, ""},
		{guest(on("aarch64")), nil, ""},
		{guest(on("s390x")), []string{split}, ""},
		{guest(on("s390x")), []string{"vmhuge enable --size 1M gives"}, ""},
		{guest(on("s390x"), protected), []string{split}, "--size"},
		{guest(on("s390x"), sharing), []string{split, "stays shared"}, "--size 2M"},
		{guest(sharing), []string{"--size 2M --source memfd"}, ""},
		{guest(backed("<access mode='shared'/>")), []string{"no device in its XML needs it shared"}, ""},
		{bytes.Replace(guest(on("s390x")), []byte("'kvm'"), []byte("'qemu'"), 1), nil, ""}, // on any host
	} {
		out, err := Rewrite(test.doc, Backing{THP: true})
		got := (Want{}).thpCosts(test.doc, out)
		if err != nil || len(got) != len(test.wants) {
			t.Errorf("%s: %v, costs %q", test.doc, err, got)
			continue
		}
		for i, want := range test.wants {
			if !strings.Contains(got[i], want) || test.not != "" && strings.Contains(got[i], test.not) {
				t.Errorf("%s: costs %q", test.doc, got)
			}
		}
	}
}

func TestCautions(t *testing.T) {
	args := options
	sharing := devices("<filesystem type='mount'><driver type='virtiofs'/></filesystem>")
	for doc, want := range map[string]string{
		"": "", args("-cpu", "host"): "", args("-device", "e1000"): "", args("-name", "-machine"): "",
		args("-object", "rng-random,id=r"): "", args("-object", "memory-backend-ram,id=m,size=1G"): "",
		args("-object", "memory-backend-ram,id=m,size=1G", "-numa", "node,memdev=m"):                                                       "(-object memory-backend-ram, -numa …,memdev=)",
		args("--object", "{&quot;qom-type&quot;:&quot;memory-backend-memfd&quot;,&quot;id&quot;:&quot;m&quot;}", "-M", "memory-backend=m"): "(-object memory-backend-memfd, -M …,memory-backend=)",
		// the memory of devices, not the guest's RAM
		args("-object", "memory-backend-file,id=shm,mem-path=/dev/shm/frames,size=64M,share=on", "-device", "ivshmem-plain,memdev=shm"):                              "",
		args("-object", "memory-backend-file,id=nv,mem-path=/srv/nv.img,size=4G", "-device", "nvdimm,memdev=nv", "-numa", "node,memdev=ram"):                         "(-numa …,memdev=)",
		args("-object", "memory-backend-ram,id=d,size=1G", "-device", "pc-dimm,memdev=d"):                                                                            "",
		args("-object", "memory-backend-file,id=net,mem-path=/dev/hugepages/a,,b,size=1G,share=on", "-device", "ivshmem-plain,memdev=net"):                           "devices with huge pages of their own (1G of net)",
		args("-object", "{&quot;qom-type&quot;:&quot;memory-backend-memfd&quot;,&quot;id&quot;:&quot;m&quot;,&quot;hugetlb&quot;:true,&quot;size&quot;:1073741824}"): "(1073741824 of m)",
		args("-object", "memory-backend-memfd,id=m,hugetlb=off,size=1G"):                                                                                             "",
		// pages for some of the cells
		backed("<hugepages><page size='2048' nodeset='0'/></hugepages>") + numa(twoOf64):                             "names cell 1 (64 MiB), which stays on small pages",
		backed("<hugepages><page size='2048' nodeset='0'/><page size='4' nodeset='1'/></hugepages>") + numa(twoOf64): "",
		backed("<hugepages><page size='2048' nodeset='0'/><page size='1048576'/></hugepages>") + numa(twoOf64):       "",
		backed("<hugepages><page size='2048' nodeset='0-1'/></hugepages>") + numa(twoOf64):                           "",
		backed("<hugepages><page size='2048' nodeset='0'/></hugepages>"):                                             "",
		args("-m", "4G"): "(-m)", args("-mem-path", "/dev/hugepages"): "(-mem-path)", args("-mem-prealloc"): "(-mem-prealloc)",
		args("-numa", "node,mem=1G"): "", args("-numa", "node,memdev=m"): "-numa", args("-machine", "q35,memory-backend=m"): "-machine", args("-M", "usb=on"): "",
		"<commandline><arg value='-m'/></commandline>":                               "",
		"<commandline xmlns='urn:x'><arg value='-m'/></commandline>":                 "",
		"<commandline xmlns='" + qemuNamespace + "'><arg value='-m'/></commandline>": "(-m)",
		"<launchSecurity type='tdx'/>":                                               "with tdx",
		"<launchSecurity type='sev-snp'/>":                                           "with sev-snp",
		"<launchSecurity type='sev'/>":                                               "",
		"<launchSecurity type='s390-pv'/>":                                           "",
		"<launchSecurity type='s390-pv'/>" + backed("<hugepages/>"):                  "enter protected mode",
		"<launchSecurity type='s390-pv'/>" + backed("<source type='memfd'/>"):        "",
		"<hugepages><page size='2048'/></hugepages>":                                 "belongs into <memoryBacking>",
		sharing: "need all of its memory shared",
		sharing + backed("<access mode='shared'/>"):                                                  "",
		sharing + backed("<source type='memfd'/>"):                                                   "need all of its memory shared",
		sharing + backed("<access mode='private'/>"):                                                 "need all of its memory shared",
		sharing + numa("<cell memory='65536' memAccess='shared'/>"):                                  "",
		"<memory unit='MiB'>64</memory><currentMemory unit='MiB'>65</currentMemory>":                 "libvirt lowers it",
		"<memory unit='MiB'>64</memory><currentMemory unit='MiB'>64</currentMemory>":                 "",
		"<memory unit='MiB'>64</memory><currentMemory unit='MiB'>65</currentMemory>" + numa(twoOf64): "",
	} {
		got := strings.Join(CautionTexts(guest(doc)), "\n")
		if !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: it is said %q, not %q", doc, got, want)
		}
	}
}

// Memory in files, in the shapes that OpenStack and others write, becomes
// transparent, and comes back.
func TestTransparentMemoryFromFiles(t *testing.T) {
	cell := func(attrs string) string { return "<cpu><numa><cell id='0' cpus='0' " + attrs + "/></numa></cpu>" }
	const private = "memory='1' unit='GiB'"
	for doc, want := range map[string]string{
		backed("\n <source type='file'/>\n <access mode='shared'/>\n <allocation mode='immediate'/>\n"):      "<memoryBacking>\n <source type='anonymous'/>\n <allocation mode='immediate'/>\n</memoryBacking>",
		backed("<access mode='private'/><source type='file'/><allocation mode='immediate'/>"):                backed("<source type='anonymous'/><allocation mode='immediate'/>"),
		backed("<source type='anonymous'/><access mode='private'/><allocation mode='immediate'/>"):           backed("<source type='anonymous'/><allocation mode='immediate'/>"),
		backed("<allocation mode='immediate'/> <access mode='private'/><locked/><source type='anonymous'/>"): backed("<allocation mode='immediate'/><locked/><source type='anonymous'/>"),
		backed("<access mode='shared'/><allocation mode='immediate'/>"):                                      backed("<source type='anonymous'/><allocation mode='immediate'/>"),
		backed("<access mode='shared'/>"):                                            backed("<allocation mode='immediate'/>"),
		cell(private + " memAccess='private'"):                                       cell(private),
		cell("memAccess = \"private\"\n\t" + private):                                "<cell id='0' cpus='0'\n\t" + private,
		"<cpu><numa><cell memAccess='private' id='0' " + private + "/></numa></cpu>": "<cell id='0' " + private,
		cell(private+" memAccess='private'") + backed("<source type='file'/><access mode='shared'/><allocation mode='immediate'/>"): cell(private),
	} {
		from := guest(doc)
		out, err := Rewrite(from, Backing{THP: true})
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", doc, err, out)
			continue
		}
		if got := outcome(out, nil); got != "thp" {
			t.Errorf("%s: %s", doc, got)
		}
		if back, err := Revert(out, false); err != nil || string(back) != string(from) {
			t.Errorf("%s: back it is %v\n%s\nfrom\n%s", doc, err, back, out)
		}
	}
}

// Smaller pages are an advice only where the guest's architecture has some that it would fill.
func TestNoSmallerPages(t *testing.T) {
	for arch, test := range map[string]struct {
		memory string
		page   pages.Size
		do     string
	}{
		"x86_64":  {"1048576", pages.Size2MiB, "raise it to 2 MiB"},
		"s390x":   {"524288", pages.Size(pages.MiB), ""}, // libvirt rounds it up to 1 MiB
		"aarch64": {"1048576", pages.Size2MiB, "take smaller pages"},
		"i686":    {"536870912", pages.Size1GiB, "take smaller pages"},
		"riscv64": {"1048576", pages.Size2MiB, "take smaller pages"},
		"ppc64le": {"1048576", pages.Size1GiB, "take smaller pages"}, // of the 256 MiB that libvirt makes of it
	} {
		doc := "<domain type='kvm'><name>a</name><memory unit='b'>" + test.memory + "</memory><os><type arch='" + arch + "'>hvm</type></os></domain>"
		_, err := Rewrite([]byte(doc), Backing{PageSize: test.page})
		if test.do == "" && err != nil || test.do != "" && (err == nil || !strings.Contains(err.Error(), "; "+test.do)) {
			t.Errorf("%s: %v", arch, err)
		}
	}
}

// Which pages a POWER has its MMU decides, not the plain page.
func TestGuessOnPOWER(t *testing.T) {
	doc := []byte("<domain type='kvm'><name>a</name><memory unit='GiB'>1</memory><os><type arch='ppc64le'>hvm</type></os></domain>")
	want := Want{Backing: Backing{Usual: true}}
	out, err := want.Rewrite(doc)
	if err != nil {
		t.Fatal(err)
	}
	if notes := want.Notes(doc, out); len(notes) != 1 || !strings.Contains(notes[0], "those with the hash MMU, as on POWER8, 16 MiB") {
		t.Errorf("%q", notes)
	}
}
