package qemu

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vmhuge/internal/pages"
)

const uuid = "6695eb01-f6a4-4304-b9aa-97f2502e193f"

// onHost is a host whose hugetlbfs is on /huge (2 MiB) and /huge1G.
func onHost(size pages.Size) Options {
	return Options{Size: size, DefaultSize: pages.Size2MiB, UUID: uuid, PageSizeAt: func(path string) (pages.Size, error) {
		switch {
		case path == "/unreadable":
			return 0, errors.New("the mount table can't be read")
		case strings.HasPrefix(path, "/huge1G"):
			return pages.Size1GiB, nil
		case strings.HasPrefix(path, "/huge"):
			return pages.Size2MiB, nil
		}
		return 0, nil
	}}
}

func read(t *testing.T, line string, size pages.Size) (Command, error) {
	t.Helper()
	return Read(strings.Fields(line), onHost(size))
}

// taken writes a demand: the kind of memory, pages, and where.
func taken(c Command) string {
	var parts []string
	for _, item := range c.Demand.Items {
		part := fmt.Sprintf("%s %dx%dK", item.Kind, item.Pages, item.PageSize.KiB())
		if item.LaterPages > 0 {
			part += fmt.Sprintf("+%d", item.LaterPages)
		}
		if item.HostNodes != "" {
			part += fmt.Sprintf(" %s %s", item.Mode, item.HostNodes)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func TestRead(t *testing.T) {
	const q = "qemu-system-x86_64 "
	const plain = " -object memory-backend-memfd,id=pc.ram,size=%d,hugetlb=on,hugetlbsize=2097152,share=off,prealloc=on -machine memory-backend=pc.ram"
	on := func(mib int64) string { return fmt.Sprintf(plain, mib*pages.MiB) }
	const own = " -uuid " + uuid
	for name, test := range map[string]struct {
		line, want string
		taken      string
		filled     int64 // MiB of RAM on huge pages; -1: all of it
	}{
		"plain":              {q + "-m 4G", q + "-m 4G" + on(4096) + own, "ram 2048x2048K", -1},
		"megabytes":          {q + "-m 64", q + "-m 64" + on(64) + own, "ram 32x2048K", -1},
		"size, slots":        {q + "-m size=64M,slots=2,maxmem=1T", q + "-m size=64M,slots=2,maxmem=1T" + on(64) + own, "ram 32x2048K", -1},
		"repeated":           {q + "-m 32 --m 64 -m slots=2,maxmem=1G", q + "-m 32 --m 64 -m slots=2,maxmem=1G" + on(64) + own, "ram 32x2048K", -1},
		"fraction":           {q + "-m 1.5G", q + "-m 1.5G" + on(1536) + own, "ram 768x2048K", -1},
		"its own UUID":       {q + "--uuid " + strings.ToUpper(uuid) + " -m 64", q + "-uuid " + uuid + " -m 64" + on(64), "ram 32x2048K", -1},
		"old NUMA":           {q + "-m 64 -numa node,mem=32M -numa node,mem=32M", q + "-m 64 -numa node,mem=32M -numa node,mem=32M" + on(64) + own, "ram 32x2048K", -1},
		"the name is free":   {q + "-m 64 -object memory-backend-file,id=pc.ram,size=2M,mem-path=/x", "", "ram 32x2048K", 64},
		"-mem-path":          {q + "-m 64 -mem-path /huge", q + "-m 64 -mem-path /huge -mem-prealloc" + own, "ram 32x2048K", -1},
		"-mem-path, 1 GiB":   {q + "-m 1025 -mem-path /huge1G -mem-prealloc", q + "-m 1025 -mem-path /huge1G -mem-prealloc" + own, "ram 2x1048576K", 2048},
		"the user's file":    {q + "-m 64 -M q35,memory-backend=a -object memory-backend-file,id=a,size=64M,mem-path=/huge,prealloc=on", q + "-m 64 -M q35,memory-backend=a -object memory-backend-file,id=a,size=64M,mem-path=/huge,prealloc=on" + own, "ram 32x2048K", -1},
		"not preallocated":   {q + "-machine memory-backend=a -object memory-backend-file,id=a,size=64M,mem-path=/huge/a,,b", q + "-machine memory-backend=a -object memory-backend-file,id=a,size=64M,mem-path=/huge/a,,b,prealloc=on" + own, "ram 32x2048K", -1},
		"by -mem-prealloc":   {q + "-mem-prealloc -machine memory-backend=a -object memory-backend-file,id=a,size=64M,mem-path=/huge", q + "-mem-prealloc -machine memory-backend=a -object memory-backend-file,id=a,size=64M,mem-path=/huge" + own, "ram 32x2048K", -1},
		"never preallocated": {q + "-machine memory-backend=a -object memory-backend-file,id=a,size=64M,mem-path=/huge,prealloc=off", q + "-machine memory-backend=a -object memory-backend-file,id=a,size=64M,mem-path=/huge,prealloc=off" + own, "ram 32x2048K", 0},
		"not even promised":  {q + "-machine memory-backend=a -object memory-backend-file,id=a,size=64M,mem-path=/huge,reserve=off", q + "-machine memory-backend=a -object memory-backend-file,id=a,size=64M,mem-path=/huge,reserve=off" + own, "ram 0x2048K+32", 0},
		"a file elsewhere":   {q + "-m 96 -object memory-backend-file,id=a,size=64M,mem-path=/dev/shm -object memory-backend-ram,id=b,size=32M -numa node,memdev=a -numa node,memdev=b", "", "cell 16x2048K", 32},
		"two nodes": {q + "-m 96 -object memory-backend-ram,id=a,size=32M,host-nodes=0,policy=bind -object memory-backend-ram,size=64M,id=b,host-nodes=0-1,host-nodes=3,policy=interleave,share=on -numa node,memdev=a -numa node,memdev=b",
			q + "-m 96 -object memory-backend-memfd,id=a,size=32M,host-nodes=0,policy=bind,share=off,hugetlb=on,hugetlbsize=2097152,prealloc=on" +
				" -object memory-backend-memfd,size=64M,id=b,host-nodes=0-1,host-nodes=3,policy=interleave,share=on,hugetlb=on,hugetlbsize=2097152,prealloc=on -numa node,memdev=a -numa node,memdev=b" + own,
			"cell 16x2048K strict 0, cell 32x2048K interleave 0-1,3", -1},
		"JSON": {q + `-object {"qom-type":"memory-backend-ram","id":"a","size":67108864,"host-nodes":[0,1],"policy":"preferred"} -machine memory-backend=a`,
			q + `-object {"qom-type":"memory-backend-memfd","id":"a","size":67108864,"host-nodes":[0,1],"policy":"preferred","share":false,"hugetlb":true,"hugetlbsize":2097152,"prealloc":true} -machine memory-backend=a` + own,
			"ram 32x2048K preferred 0-1", -1},
		"memfd to share":     {q + "-object memory-backend-memfd,id=a,size=64M,share -machine memory-backend=a", q + "-object memory-backend-memfd,id=a,size=64M,share,hugetlb=on,hugetlbsize=2097152,prealloc=on -machine memory-backend=a" + own, "ram 32x2048K", -1},
		"memfd, 1 GiB":       {q + "-object memory-backend-memfd,id=a,size=1G,hugetlb=on,hugetlbsize=1G,prealloc=on -machine memory-backend=a", q + "-object memory-backend-memfd,id=a,size=1G,hugetlb=on,hugetlbsize=1G,prealloc=on -machine memory-backend=a" + own, "ram 1x1048576K", -1},
		"memfd, default":     {q + "-object memory-backend-memfd,id=a,size=64M,hugetlb=on,prealloc=on -machine memory-backend=a", q + "-object memory-backend-memfd,id=a,size=64M,hugetlb=on,prealloc=on -machine memory-backend=a" + own, "ram 32x2048K", -1},
		"memfd, not huge":    {q + "-object memory-backend-memfd,id=a,size=64M,nohugetlb -object memory-backend-ram,id=b,size=2M -machine memory-backend=a", "", "ram 1x2048K", 2},
		"a DIMM":             {q + "-m 64,slots=1,maxmem=1G -object memory-backend-ram,id=d,size=32M -device pc-dimm,memdev=d", "", "dimm 16x2048K, ram 32x2048K", -1},
		"virtio-mem":         {q + "-m 64,slots=1,maxmem=1G -object memory-backend-ram,id=d,size=32M -device virtio-mem-pci,memdev=d", q + "-m 64,slots=1,maxmem=1G -object memory-backend-ram,id=d,size=32M -device virtio-mem-pci,memdev=d" + on(64) + own, "ram 32x2048K", -1},
		"virtio-mem on huge": {q + `-m 64,slots=1,maxmem=1G -object memory-backend-file,id=d,size=32M,mem-path=/huge,reserve=off -device {"driver":"virtio-mem-pci","memdev":"d"}`, "", "ram 0x2048K+16, ram 32x2048K", 64},
		"other objects":      {q + "-m 64 -object rng-random,id=r -object memory-backend-epc,id=e,size=2M", q + "-m 64 -object rng-random,id=r -object memory-backend-epc,id=e,size=2M" + on(64) + own, "ram 32x2048K", -1},
	} {
		got, err := read(t, test.line, pages.Size2MiB)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(strings.Fields(test.want), got.Args); test.want != "" && diff != "" {
			t.Errorf("%s: the command line: %s", name, diff)
		}
		filled := test.filled * 1024
		if filled < 0 {
			filled = got.RAMKiB
		}
		if taken(got) != test.taken || got.FilledKiB != filled || got.UUID != uuid {
			t.Errorf("%s: %s, %d of %d KiB, %s", name, taken(got), got.FilledKiB, got.RAMKiB, got.UUID)
		}
		again, err := Read(got.Args, onHost(pages.Size2MiB))
		if diff := cmp.Diff(got.Args, again.Args); err != nil || diff != "" || taken(again) != taken(got) || len(again.Changes) > 0 {
			t.Errorf("%s, once more: %v, %s, %s, %q", name, err, diff, taken(again), again.Changes)
		}
	}
}

func TestReadOf1GiB(t *testing.T) {
	got, err := read(t, "kvm -m 2G -name guest=web1,debug-threads=on -device virtio-balloon-pci", pages.Size1GiB)
	if err != nil || taken(got) != "ram 2x1048576K" || got.Name != "web1" || !got.Demand.Elastic {
		t.Errorf("%v, %s, %s", err, taken(got), got.Name)
	}
}

func TestRAMID(t *testing.T) {
	for line, want := range map[string]string{
		"qemu-system-x86_64 -M microvm": "microvm.ram", "qemu-system-aarch64 -M virt": "mach-virt.ram", "qemu-system-riscv64": "riscv_virt_board.ram",
		"qemu-system-ppc64": "ppc_spapr.ram", "qemu-system-s390x": "s390.ram", "/usr/libexec/qemu-kvm": "pc.ram",
	} {
		got, err := read(t, line+" -m 64", pages.Size2MiB)
		if err != nil || !strings.Contains(strings.Join(got.Args, " "), "-machine memory-backend="+want) {
			t.Errorf("%s: %v, %q", line, err, got.Args)
		}
	}
}

func TestReadRefused(t *testing.T) {
	const q = "qemu-system-x86_64 "
	for line, want := range map[string]string{
		"":                                     `"" is not QEMU`,
		"sudo qemu-system-x86_64":              `"sudo" is not QEMU: name qemu-system-… itself`,
		"qemu-img create":                      `"qemu-img" is not QEMU`,
		q + "-m 64 -daemonize":                 "-daemonize: vmhuge exec waits for QEMU",
		q + "-M q35":                           "it does not say how much memory the guest gets: add -m SIZE",
		q + "-m 0":                             "it does not say how much memory",
		q + "-m lots":                          `-m lots: "lots" is not a size`,
		q + "-m":                               "-m wants a value",
		q + "-m 65M":                           "its memory of 65 MiB is not a multiple of a page of 2 MiB: write -m 66M",
		q + "-m 64 -mem-path /tmp":             "-mem-path /tmp is on no hugetlbfs",
		q + "-m 64 -uuid 1":                    "-uuid 1: it is not a UUID",
		q + "-uuid " + uuid + " -uuid " + uuid: "it is the second one",
		q + "-m 64 -mem-path /unreadable":      "the mount table can't be read",
		q + "-m 64 -set object.a.size=1G":      "-set object.a.size=1G: write it into the option that it changes",
		q + `-object {"a":1`:                   `-object {"a":1: `,
		q + `-object {'qom-type':'x'}`:         "invalid character",
		q + "-object memory-backend-ram,id=a":  `memory backend "a": "" is not a size`,
		q + "-object memory-backend-ram,id=a,size=3M":                                                 `memory backend "a": its 3 MiB are not a multiple of a page of 2 MiB`,
		q + "-object memory-backend-ram,id=a,size=2M,host-nodes=x":                                    `"x" is not a list of nodes`,
		q + "-object memory-backend-memfd,id=a,size=2M,hugetlb=on,hugetlbsize=big":                    `"big" is not a page size`,
		q + "-object memory-backend-file,id=a,size=2M,mem-path=/tmp -machine memory-backend=a":        `none of its memory would be on huge pages: the memory "a" stays on small pages, as /tmp is on no hugetlbfs`,
		q + "-object memory-backend-memfd,id=a,size=2M,hugetlb=off -machine memory-backend=a":         `stays on small pages, as it has hugetlb=off`,
		q + "-object memory-backend-epc,id=a,size=2M -machine memory-backend=a":                       `the memory "a" is of a backend that stays as it is`,
		q + "-object memory-backend-file,id=a,size=2M,mem-path=/unreadable -machine memory-backend=a": "the mount table can't be read",
	} {
		got, err := read(t, line, pages.Size2MiB)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s\n%v\nnot\n%s\n%q", line, err, want, got.Args)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "1b": 1, "1K": 1024, "1.5k": 1536, "0x1000": 4096, "4G": 4 << 30, "1.25T": 5 << 38, "0.5m": 1 << 19, "3E": 3 << 60,
		"": -1, "x": -1, "1KB": -1, "-1": -1, "1.5": -1, "4E": -1, "0x": -1, "0xfffffffffffffffff": -1, "1e3": -1, ".5G": -1, "1 G": -1,
	} {
		got, err := parseSize(text, 1)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d, %v; not %d", text, got, err, want)
		}
	}
}

// Whatever is on the command line, the new one is read as the old one was, and
// has all of the old words that are not memory.
func FuzzRead(f *testing.F) {
	f.Add("-m 4G -name a")
	f.Add(`-object {"qom-type":"memory-backend-ram","id":"a","size":67108864} -machine memory-backend=a`)
	f.Add("-object memory-backend-ram,id=a,size=32M,host-nodes=0,policy=bind,x=a,,b,noprealloc -numa node,memdev=a")
	f.Add("-object memory-backend-ram,size=2M, -m 64")
	f.Add("-m 64 -mem-path /huge -set a.b -device pc-dimm,memdev=d")
	f.Fuzz(func(t *testing.T, line string) {
		got, err := Read(append([]string{"qemu-system-x86_64"}, strings.Fields(line)...), onHost(pages.Size2MiB))
		if err != nil {
			if strings.Contains(err.Error(), "%!") {
				t.Error(err)
			}
			return
		}
		again, err := Read(got.Args, onHost(pages.Size2MiB))
		if diff := cmp.Diff(got.Args, again.Args); err != nil || diff != "" || taken(again) != taken(got) {
			t.Errorf("%q, once more: %v, %s, %s", got.Args, err, diff, taken(again))
		}
		for _, item := range got.Demand.Items {
			if item.Pages < 0 || item.PageSize <= 0 {
				t.Errorf("%q: %s", line, taken(got))
			}
		}
	})
}

func FuzzParseOptions(f *testing.F) {
	f.Add("memory-backend-file,id=ram0,mem-path=/a,,b,prealloc,nodump")
	f.Add(`{"qom-type":"memory-backend-ram","host-nodes":[0,1],"share":true}`)
	f.Fuzz(func(t *testing.T, text string) {
		o, err := parseOptions(text, "qom-type")
		if err != nil {
			return
		}
		if o.json {
			o, err = parseOptions(o.String(), "qom-type")
		}
		if again := o.String(); err != nil || (!o.json && again != text) {
			t.Errorf("%q became %q, %v", text, again, err)
		}
	})
}
