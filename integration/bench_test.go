package integration

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"libvirt.org/go/libvirt"

	"vmhuge/hostprep/ledger"
)

// pairs is how often vmhuge and its peer run, in turn, so that a machine whose
// speed drifts does so for both.
const pairs = 30

// cost is what a whole process took.
type cost struct {
	wall   time.Duration
	peakKB int
}

// run runs a whole process below time(1): the peak memory of a process started
// from this one would count this one's, which it shares until its exec.
func run(b *testing.B, args []string) cost {
	b.Helper()
	peak := filepath.Join(scratch, "peak")
	began := time.Now()
	out, err := exec.Command("time", append([]string{"-q", "-f", "%M", "-o", peak}, args...)...).CombinedOutput()
	c := cost{wall: time.Since(began)}
	if err != nil {
		b.Fatalf("%q: %v\n%s", args, err, out)
	}
	if err := readNumber(peak, &c.peakKB); err != nil {
		b.Fatal(err)
	}
	return c
}

// compare runs both in pairs and reports the medians of the ratios, vmhuge to
// its peer, for the rows of that work and of its memory. after puts the domain back each time.
func compare(b *testing.B, work, name string, ours, peer []string, after func()) {
	command := ours[0]
	ours = append([]string{filepath.Join(scratch, "bin", "vmhuge")}, ours...)
	var wall, memory, milliseconds []float64
	for b.Loop() {
		for i := range pairs + 1 {
			a := run(b, ours)
			after()
			p := run(b, peer)
			after()
			if i == 0 {
				continue // the first of each finds cold caches
			}
			wall = append(wall, a.wall.Seconds()/p.wall.Seconds())
			memory = append(memory, float64(a.peakKB)/float64(p.peakKB))
			milliseconds = append(milliseconds, a.wall.Seconds()*1000)
		}
	}
	b.ReportMetric(0, "ns/op") // the time of all pairs together would mislead
	b.ReportMetric(median(wall), "wall-ratio")
	b.ReportMetric(median(memory), "memory-ratio")
	measure(work, "of "+name, median(wall))
	measure("memory of "+command, "of "+name+"'s", median(memory))
	b.ReportMetric(median(milliseconds), "ms")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// benchDomain defines a domain for a benchmark and returns a function that
// ends and defines it as it was.
func benchDomain(b *testing.B, g guest) (after func()) {
	define := func() *libvirt.Domain {
		dom, err := libvirtd.conn.DomainDefineXML(g.xml())
		if err != nil {
			b.Fatal(err)
		}
		return dom
	}
	dom := define()
	uuid, err := dom.GetUUIDString()
	if err != nil {
		b.Fatal(err)
	}
	g.memory = fmt.Sprintf("<uuid>%s</uuid>%s", uuid, g.memory)
	after = func() {
		if active, _ := dom.IsActive(); active {
			if err := dom.Destroy(); err != nil {
				b.Fatal(err)
			}
		}
		_ = define().Free()
	}
	b.Cleanup(func() {
		after()
		run(b, []string{filepath.Join(scratch, "bin", "vmhuge"), "disable", g.name})
		if err := dom.Undefine(); err != nil {
			b.Error(err)
		}
	})
	return after
}

func BenchmarkEnable(b *testing.B) {
	name := "vmhuge-bench-enable"
	after := benchDomain(b, guest{name: name, memory: "<memory unit='MiB'>64</memory>"})
	if _, err := exec.LookPath("virt-xml"); err != nil {
		b.Fatal("virt-xml is not installed; run: sudo ./just bench")
	}
	compare(b, "enable", "virt-xml", []string{"enable", name}, []string{"virt-xml", "-c", "qemu:///system", name, "--edit", "--memorybacking", "hugepages=yes", "--define"}, after)
}

func BenchmarkStart(b *testing.B) {
	name := "vmhuge-bench-start"
	after := benchDomain(b, guest{name: name, memory: "<memory unit='MiB'>64</memory>", backing: pages2M})
	if err := addPages(scratch, 0, size2M, 32); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = addPages(scratch, 0, size2M, -32) })
	compare(b, "start, ready host", "virsh start", []string{"start", "--paused", name}, []string{"virsh", "-c", "qemu:///system", "start", "--paused", name}, after)
}

func BenchmarkCheck(b *testing.B) {
	name := "vmhuge-bench-check"
	after := benchDomain(b, guest{name: name, memory: "<memory unit='MiB'>64</memory>", backing: pages2M})
	if err := addPages(scratch, 0, size2M, 32); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = addPages(scratch, 0, size2M, -32) })
	compare(b, "check of one ready guest", "virsh dominfo", []string{"check", name}, []string{"virsh", "-c", "qemu:///system", "dominfo", name}, after)
}

// defineMany defines so many domains on huge pages and returns their names. They need no pages.
func defineMany(b *testing.B, n int) (names []string) {
	for i := range n {
		g := guest{name: fmt.Sprintf("vmhuge-bench-many-%d", i), backing: pages2M}
		dom, err := libvirtd.conn.DomainDefineXML(g.xml())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = dom.Undefine() })
		names = append(names, g.name)
	}
	return names
}

// timeMany times runs of vmhuge, which may find that pages are missing, in milliseconds.
func timeMany(b *testing.B, args ...string) float64 {
	var milliseconds, processor []float64
	for b.Loop() {
		for range pairs {
			began := time.Now()
			cmd := exec.Command(filepath.Join(scratch, "bin", "vmhuge"), args...)
			out, err := cmd.CombinedOutput()
			milliseconds = append(milliseconds, time.Since(began).Seconds()*1000)
			processor = append(processor, (cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()).Seconds()*1000)
			if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 4) {
				b.Fatalf("%v\n%s", err, out)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(milliseconds), "ms")
	b.ReportMetric(median(processor), "cpu-ms")
	return median(milliseconds)
}

// BenchmarkCheckMany checks so many defined domains in one run. That pages are missing is
// what it finds.
func BenchmarkCheckMany(b *testing.B) {
	names := defineMany(b, 500)
	took := map[int]float64{}
	for _, n := range []int{1, 100, len(names)} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { took[n] = timeMany(b, append([]string{"check"}, names[:n]...)...) })
	}
	each := func(n int) float64 { return (took[n] - took[1]) / float64(n-1) }
	measure("check of 500 guests", "ms", took[500])
	measure("check of 500 guests, for each", "of that of 100, for each", each(500)/each(100))
}

// BenchmarkLookMany shows 500 defined domains while another program has the ledger's lock,
// for which neither command may wait.
func BenchmarkLookMany(b *testing.B) {
	defineMany(b, 500)
	book, err := ledger.Open(b.Context(), "/")
	if err != nil {
		b.Fatal(err)
	}
	defer book.Close()
	for _, command := range []string{"status", "metrics"} {
		b.Run(command, func(b *testing.B) { measure(command+" with 500 guests", "ms", timeMany(b, command)) })
	}
}
