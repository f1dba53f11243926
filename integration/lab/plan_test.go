package lab

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vmhuge/internal/shell"
)

// TestPlanOnThreeHosts plans random sets of guests on three Debians whose pools differ, over
// ssh, and then really starts them: each starts where the plan has it, and one that the plan
// has nowhere starts nowhere.
//
// PLAN_SETS is how many sets there are, PLAN_SEED repeats a run.
func TestPlanOnThreeHosts(t *testing.T) {
	sets, seed := number(t, "PLAN_SETS", 5), number(t, "PLAN_SEED", int(time.Now().UnixNano()%1e9))
	t.Logf("PLAN_SETS=%d PLAN_SEED=%d", sets, seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	labs := threeHosts(t)
	names := []string{"host1", "host2", "host3"}
	var on []string
	for i, l := range labs {
		on = append(on, "--on", l.uri(names[i]))
	}
	var guests, placed, inVain, wrongly atomic.Int64
	for set := range sets {
		pools := ""
		for _, l := range labs {
			for node := range 2 {
				l.Must(fmt.Sprintf("echo %d >/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages", random.IntN(3)*random.IntN(24), node))
			}
			pools += l.Must(labPools) + "\n"
		}
		dir := t.TempDir()
		args := slices.Concat(on, []string{"--fit", []string{"first", "best"}[random.IntN(2)], "--file"})
		var xmls []string
		for i := range 4 + random.IntN(4) {
			xmls = append(xmls, randomGuest(random, fmt.Sprintf("set%d-%d", set, i), i))
			file := filepath.Join(dir, fmt.Sprintf("%d.xml", i))
			if err := os.WriteFile(file, []byte(xmls[i]), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, file)
		}
		answer := labs[0].planOn(args...)
		for _, guest := range answer.Guests {
			guests.Add(1)
			if guest.Host != "" {
				placed.Add(1)
			}
		}
		var hosts sync.WaitGroup
		for n, l := range labs {
			hosts.Go(func() {
				for i, guest := range answer.Guests {
					here := strings.Contains(guest.Host, names[n])
					if guest.Host != "" && !here {
						continue
					}
					said, err := l.run("virsh create --paused /dev/stdin", strings.NewReader(xmls[i]))
					switch wrong := fmt.Sprintf("%s\n%s\nthe plan: %+v\nthe pools:\n%s", said.Stderr, xmls[i], answer, pools); {
					case err != nil:
						t.Errorf("%s: %v", names[n], err)
					case here && said.Code != 0:
						inVain.Add(1)
						t.Errorf("%s has a place on %s, and does not start there: %s", guest.Name, names[n], wrong)
					case !here && said.Code == 0:
						wrongly.Add(1)
						t.Errorf("%s has no place, and starts on %s: %s", guest.Name, names[n], wrong)
						_, _ = l.run("virsh destroy "+guest.Name, nil)
					case !here && !strings.Contains(said.Stderr, "memory"):
						t.Errorf("%s has no place, and what %s lacks is not memory: %s", guest.Name, names[n], wrong)
					}
				}
				_, _ = l.run("for d in $(virsh list --name); do virsh destroy $d; done", nil)
			})
		}
		hosts.Wait()
		t.Logf("%d sets of %d guests: %d have a place, %d of them in vain; %d have none, %d of them wrongly",
			set+1, guests.Load(), placed.Load(), inVain.Load(), guests.Load()-placed.Load(), wrongly.Load())
	}
	if n := placed.Load(); sets > 1 && (n == 0 || n == guests.Load()) {
		t.Error("a run in which all guests have a place, or none has, shows nothing")
	}
}

// randomGuest is a guest of 4 to 64 MiB. The first of a set are bound to nodes: where the
// kernel takes the pages of those that are not, only it knows. AppArmor's part, which takes
// longest of a start, is none of a plan's.
func randomGuest(random *rand.Rand, name string, i int) string {
	pages := 2 + random.IntN(31)
	bound := ""
	switch {
	case i < 3:
		bound = fmt.Sprintf("<numatune><memory mode='strict' nodeset='%d'/></numatune>", random.IntN(2))
	case i == 3: // half of its memory on each
		pages += pages % 2
		cell := func(id int) string {
			return fmt.Sprintf("<cell id='%d' cpus='%[1]d' memory='%d' unit='MiB'/>", id, pages)
		}
		bound = "<numatune><memnode cellid='0' mode='strict' nodeset='0'/><memnode cellid='1' mode='strict' nodeset='1'/></numatune>" +
			"<vcpu>2</vcpu><cpu><numa>" + cell(0) + cell(1) + "</numa></cpu>"
	}
	return fmt.Sprintf(`<domain type='qemu'>
  <name>%s</name>
  <memory unit='MiB'>%d</memory>
  <memoryBacking><hugepages><page size='2' unit='M'/></hugepages></memoryBacking>
  %s
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices><controller type='usb' model='none'/><memballoon model='none'/></devices>
  <seclabel type='none'/>
</domain>
`, name, 2*pages, bound)
}

// uri is that of the lab's libvirt, of a host of that name: the ssh that libvirt runs is
// the one that the lab's commands take.
func (l *lab) uri(name string) string {
	l.t.Helper()
	ssh := l.sshArguments("-o", "HostName=127.0.0.1")
	command := filepath.Join(l.dir, "to-"+name)
	script := "#!/bin/sh\nexec ssh"
	for _, arg := range ssh[:len(ssh)-1] {
		script += " " + shell.Quote(arg)
	}
	if err := os.WriteFile(command, []byte(script+" \"$@\"\n"), 0o700); err != nil {
		l.t.Fatal(err)
	}
	return "qemu+ssh://root@" + name + "/system?command=" + command
}

type planAnswer struct {
	Guests      []struct{ Name, Host string }
	Unreachable []any
}

// planOn asks again where hosts have not answered in time: on a busy machine theirs is short.
func (l *lab) planOn(args ...string) planAnswer {
	l.t.Helper()
	vmhuge := l.program("vmhuge")
	for range 10 {
		out, err := exec.Command(vmhuge, append([]string{"plan", "--json"}, args...)...).Output()
		var answer planAnswer
		if json.Unmarshal(out, &answer) == nil && len(answer.Unreachable) == 0 && len(answer.Guests) > 0 {
			return answer
		}
		l.t.Logf("%v\n%s", err, out)
		if !strings.Contains(string(out), "it has not answered in") {
			break
		}
	}
	l.t.FailNow()
	return planAnswer{}
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
