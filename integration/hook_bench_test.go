package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/ledger"
	hostpool "vmhuge/hostprep/pool"
	"vmhuge/hostprep/process"
	"vmhuge/internal/pages"
)

// bashHooks are the peers: a hook that greps the XML and reads one file, as they
// are written, and the least that bash can do.
var bashHooks = map[string]string{
	"bash": `#!/bin/bash
xml=$(cat)
if [[ $2 == prepare ]] && echo "$xml" | grep -q '<hugepages'; then
	free=$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages)
fi
exit 0
`,
	"lean-bash": `#!/bin/bash
[[ $2 == prepare ]] || exit 0
grep -q '<hugepages' && read -r free </sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages
exit 0
`}

// domainXML is what libvirt gives the hooks of a guest with everything that
// virt-manager puts into one.
func domainXML(uuid, backing string) string {
	var devices strings.Builder
	for i := range 30 {
		fmt.Fprintf(&devices, "    <controller type='pci' index='%d' model='pcie-root-port'><target chassis='%[1]d' port='0x%[1]x'/><alias name='pci.%[1]d'/></controller>\n", i+1)
	}
	return fmt.Sprintf(`<domain type='qemu' id='7'>
  <name>vmhuge-bench-hook</name><uuid>%s</uuid>
  <memory unit='KiB'>65536</memory><currentMemory unit='KiB'>65536</currentMemory>
  <memoryBacking>%s</memoryBacking>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
%s  </devices>
</domain>
`, uuid, backing, &devices)
}

const benchUUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"

// call runs a hook as libvirtd does and returns what the process took.
func call(b *testing.B, hook, operation, doc string) time.Duration {
	b.Helper()
	cmd := exec.Command(hook, append(strings.Fields("vmhuge-bench-hook "+operation), "-")...)
	// A pipe, as libvirt's: the writer must not count.
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	cmd.Stdin = r
	go func() {
		_, _ = io.WriteString(w, doc)
		_ = w.Close()
	}()
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		b.Fatalf("%s: %v\n%s", operation, err, out)
	}
	return time.Since(began)
}

func vmhugeHook() string { return filepath.Join(scratch, "bin", "vmhuge-hook") }

// BenchmarkHook times the hook of a guest whose pages are there, and of one
// without huge pages, against hooks in bash.
func BenchmarkHook(b *testing.B) {
	for name, text := range bashHooks {
		if err := os.WriteFile(filepath.Join(scratch, name), []byte(text), 0o755); err != nil {
			b.Fatal(err)
		}
	}
	if err := addPages(scratch, 0, size2M, 32); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = addPages(scratch, 0, size2M, -32) })
	for name, backing := range map[string]string{"ready": pages2M, "no-huge-pages": ""} {
		b.Run(name, func(b *testing.B) {
			doc := domainXML(benchUUID, backing)
			ratios, released, milliseconds := map[string][]float64{}, []float64{}, []float64{}
			for b.Loop() {
				for range 4 * pairs {
					ours := call(b, vmhugeHook(), "prepare begin", doc)
					release := call(b, vmhugeHook(), "release end", doc)
					milliseconds = append(milliseconds, ours.Seconds()*1000)
					for peer := range bashHooks {
						theirs := call(b, filepath.Join(scratch, peer), "prepare begin", doc)
						ratios[peer] = append(ratios[peer], ours.Seconds()/theirs.Seconds())
						if peer == "lean-bash" {
							released = append(released, release.Seconds()/theirs.Seconds())
						}
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(milliseconds), "ms")
			for peer := range bashHooks {
				b.ReportMetric(median(ratios[peer]), peer+"-ratio")
			}
			b.ReportMetric(median(released), "release-to-lean-bash-ratio")
			if backing == "" {
				measure("hook, guest without huge pages", "of lean bash", median(ratios["lean-bash"]))
				return
			}
			measure("hook, ready host", "of lean bash", median(ratios["lean-bash"]))
			measure("hook, ready host", "of bash", median(ratios["bash"]))
			measure("hook, release", "of lean bash", median(released))
		})
	}
}

// BenchmarkLedger times the hook beside guests that run and hold claims, each with a process
// that /proc shows as its QEMU, in turn with the hook beside one.
func BenchmarkLedger(b *testing.B) {
	if err := addPages(scratch, 0, size2M, 32); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = addPages(scratch, 0, size2M, -32) })
	qemu := filepath.Join(scratch, "qemu-bench") // by the program's name it is a QEMU
	if out, err := exec.Command("cp", "--dereference", "/bin/sh", qemu).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	beside1 := claimsOf(b, qemu, 1)
	for n, name := range map[int]string{100: "", 1000: "hook beside 1,000 claims"} {
		b.Run(strconv.Itoa(n)+"-claims", func(b *testing.B) {
			besideN := claimsOf(b, qemu, n)
			var milliseconds, ratios []float64
			for b.Loop() {
				for range 2 * pairs {
					many, one := callBeside(b, besideN, n), callBeside(b, beside1, 1)
					milliseconds = append(milliseconds, many.Seconds()*1000)
					ratios = append(ratios, many.Seconds()/one.Seconds())
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(milliseconds), "ms")
			b.ReportMetric(median(ratios), "beside-1-ratio")
			if name != "" {
				measure(name, "of that beside 1", median(ratios))
			}
		})
	}
}

const claims = "/run/vmhuge/claims"

// claimsOf starts as many processes and returns a folder with their claims.
func claimsOf(b *testing.B, qemu string, n int) (dir string) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	dir = fmt.Sprintf("%s-%d", claims, n)
	var guests []*exec.Cmd
	b.Cleanup(func() {
		cancel()
		for _, guest := range guests {
			_ = guest.Wait()
		}
		_ = os.RemoveAll(dir)
	})
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range n {
		uuid := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		guest := exec.CommandContext(ctx, qemu, "-c", "read line", "-uuid", uuid)
		if _, err := guest.StdinPipe(); err != nil {
			b.Fatal(err)
		}
		if err := guest.Start(); err != nil {
			b.Fatal(err)
		}
		guests = append(guests, guest)
		claim := fmt.Sprintf(`{"version":1,"boot_id":%q,"uuid":%q,"name":"bench-%d","owner":{"pid":1,"start":1},"takes":[],"grants":[]}`,
			strings.TrimSpace(string(boot)), uuid, i)
		if err := os.WriteFile(fmt.Sprintf("%s/%s.%d", dir, uuid, guest.Process.Pid), []byte(claim), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// callBeside times a start's call beside the claims of a folder, all of which must stay.
func callBeside(b *testing.B, dir string, n int) time.Duration {
	b.Helper()
	if err := os.Rename(dir, claims); err != nil {
		b.Fatal(err)
	}
	doc := domainXML(benchUUID, pages2M)
	took := call(b, vmhugeHook(), "prepare begin", doc)
	call(b, vmhugeHook(), "release end", doc)
	if left, _ := filepath.Glob(claims + "/*"); len(left) != n {
		b.Fatalf("%d claims are left of %d", len(left), n)
	}
	if err := os.Rename(claims, dir); err != nil {
		b.Fatal(err)
	}
	return took
}

// BenchmarkFragmented asks for three quarters of the free memory as pages of
// 2 MiB where most of it is in small pieces. How much the kernel finds at the
// first try differs from run to run; what counts is the worst of each.
//
// hugeadm gives up once the kernel finds no more. Its time is that of fewer pages, so vmhuge is
// compared with it for as many, and for all with one that is run again after each compaction, as
// long as that gains any.
func BenchmarkFragmented(b *testing.B) {
	if _, err := exec.LookPath("hugeadm"); err != nil {
		b.Fatal("hugeadm is not installed; run: sudo ./just bench")
	}
	before, err := readPools()
	if err != nil {
		b.Fatal(err)
	}
	start := before[size2M].Nodes[0].Total
	hugeadm := func(n int) {
		// It says that it did not reach the number, and fails.
		_ = exec.Command("hugeadm", "--pool-pages-min", "2MB:"+strconv.Itoa(start+n)).Run()
	}
	worst := map[string]float64{}
	var forAsMany, forAll []float64 // ratios of the times of one round
	for b.Loop() {
		for round := range 3 {
			took, got, grew := map[string]time.Duration{}, map[string]int{}, grownPool{}
			for name, grow := range map[string]func(pages int) error{
				"sysctl": func(n int) error {
					return os.WriteFile("/proc/sys/vm/nr_hugepages", []byte(strconv.Itoa(start+n)), 0)
				},
				"hugeadm":       func(n int) error { hugeadm(n); return nil },
				"hugeadm-again": func(n int) error { return repeat(start, n, hugeadm) },
				"vmhuge":        func(n int) error { return growPool(n, &grew) },
			} {
				wanted, free := fragment(b)
				if err := recordPages(scratch, 0, size2M, wanted); err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				grew.began = began
				err := grow(wanted)
				took[name] = time.Since(began)
				now, rerr := readPools()
				got[name] = now[size2M].Nodes[0].Total - start
				if short := (*hostpool.Short)(nil); errors.As(err, &short) {
					got[name], err = int(short.Got), nil
				}
				b.Logf("%s: %d of %d pages in %s", name, got[name], wanted, took[name])
				if percent := 100 * float64(got[name]) / float64(wanted); round == 0 || percent < worst[name] {
					worst[name] = percent
				}
				if err := errors.Join(err, rerr, free(), writePages(0, size2M, start), recordPages(scratch, 0, size2M, -wanted)); err != nil {
					b.Fatal(err)
				}
				_ = os.RemoveAll("/run/vmhuge/claims")
			}
			forAsMany = append(forAsMany, grew.until(got["hugeadm"], took["vmhuge"]).Seconds()/took["hugeadm"].Seconds())
			forAll = append(forAll, took["vmhuge"].Seconds()/took["hugeadm-again"].Seconds())
		}
	}
	b.ReportMetric(0, "ns/op")
	for name, percent := range worst {
		b.ReportMetric(percent, name+"-percent")
	}
	b.ReportMetric(median(forAsMany), "hugeadm-time-ratio")
	b.ReportMetric(median(forAll), "hugeadm-again-time-ratio")
	measure("pages on a fragmented host, the least", "of what hugeadm got", worst["vmhuge"]/worst["hugeadm"])
	measure("time for as many pages as hugeadm got", "of hugeadm's", median(forAsMany))
	measure("time for all pages", "of hugeadm's, again after each compaction", median(forAll))
}

// repeat grows a pool and compacts memory in turn, as long as that gains a page.
func repeat(start, n int, grow func(n int)) error {
	for had := -1; ; {
		grow(n)
		now, err := readPools()
		if err != nil {
			return err
		}
		got := now[size2M].Nodes[0].Total - start
		if got == n || got == had {
			return nil
		}
		had = got
		if err := os.WriteFile("/proc/sys/vm/compact_memory", []byte("1"), 0); err != nil {
			return err
		}
	}
}

// grownPool is how a pool has grown: how many pages it had gained, and when.
type grownPool struct {
	began time.Time
	pages []int
	after []time.Duration
}

func (g *grownPool) progress(_ string, done, _ int64) {
	g.pages, g.after = append(g.pages, int(done/int64(pages.Size2MiB))), append(g.after, time.Since(g.began))
}

// until is the time after which there were n pages; all, if there never were.
func (g *grownPool) until(n int, all time.Duration) time.Duration {
	for i := range g.pages {
		if g.pages[i] >= n {
			return g.after[i]
		}
	}
	return all
}

// growPool does what a start does, for one claim.
func growPool(n int, g *grownPool) error {
	ctx := context.Background()
	book, err := ledger.Open(ctx, "/")
	if err != nil {
		return err
	}
	defer book.Close()
	owner, err := process.Find("/", os.Getpid())
	if err != nil {
		return err
	}
	if err := book.Begin(ledger.Claim{UUID: benchUUID, Owner: owner}); err != nil {
		return err
	}
	return book.Grow(ctx, benchUUID, []hostpool.Need{{Size: pages.Size2MiB, Pages: int64(n)}}, hostpool.Effort{Progress: g.progress})
}

// fragment leaves 16 small pages in use of each 512, over most of the memory,
// and returns how many huge pages three quarters of what is free would be.
func fragment(b *testing.B) (wanted int, free func() error) {
	b.Helper()
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		b.Fatal(err)
	}
	const huge, small = 2 << 20, 4 << 10
	size := int(info.Freeram*uint64(info.Unit)) / 10 * 9 &^ (huge - 1)
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		b.Fatal(err)
	}
	if err := unix.Madvise(memory, unix.MADV_NOHUGEPAGE); err != nil {
		b.Fatal(err)
	}
	for at := 0; at < size; at += small {
		memory[at] = 1
	}
	for at := 0; at < size; at += huge {
		if err := unix.Madvise(memory[at+16*small:at+huge], unix.MADV_DONTNEED); err != nil {
			b.Fatal(err)
		}
	}
	if err := unix.Sysinfo(&info); err != nil {
		b.Fatal(err)
	}
	return int(info.Freeram*uint64(info.Unit)) / 4 * 3 / huge, func() error { return unix.Munmap(memory) }
}
