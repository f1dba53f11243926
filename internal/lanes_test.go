package internal

import (
	"bufio"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Each lane's outcome counts and is printed with what it said, also of one that a signal ended.
func TestLanesTellEachOutcome(t *testing.T) {
	out, err := exec.Command("../.ci/lanes",
		"good", "echo fine",
		"bad", "echo wrong; exit 3",
		"killed", "kill -KILL $$",
		"ended", "kill -TERM $$",
	).CombinedOutput()
	if err == nil {
		t.Error("three lanes failed, and all together did not")
	}
	for _, want := range []string{
		"== good: ok, ",
		" s\nfine\n",
		"== bad: FAILED, exit code 3, ",
		" s\nwrong\n",
		"== killed: FAILED, exit code 137",
		"== ended: FAILED, exit code 143",
		"== failed: ",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if out, err := exec.Command("../.ci/lanes", "one", "true", "two", "true").CombinedOutput(); err != nil {
		t.Errorf("two good lanes: %v\n%s", err, out)
	}
}

// A signal ends all lanes, and then lanes itself, which waited for ever for those whose ends
// bash had noticed at once.
func TestLanesEnd(t *testing.T) {
	for _, sent := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		// Else lanes ignores it as well where this test does, as with nohup.
		caught := make(chan os.Signal, 1)
		signal.Notify(caught, sent)
		defer signal.Stop(caught)
		dir := t.TempDir()
		wait := "touch " + dir + "/$$; sleep 50"
		lanes := exec.Command("../.ci/lanes", "one", wait, "two", wait+"; true", "three", wait)
		said, err := lanes.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := lanes.Start(); err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(30*time.Second, func() { lanes.Process.Kill() })
		for started := []os.DirEntry(nil); len(started) < 3; time.Sleep(10 * time.Millisecond) {
			if started, err = os.ReadDir(dir); err != nil {
				t.Fatal(err)
			}
		}
		reader := bufio.NewReader(said)
		lanes.Process.Signal(sent)
		ended := 0
		for line, err := reader.ReadString('\n'); err == nil; line, err = reader.ReadString('\n') {
			if strings.Contains(line, ": FAILED, exit code ") {
				ended++
			}
		}
		lanes.Wait()
		if !late.Stop() {
			t.Errorf("%v: still there after 30 s", sent)
		}
		if code := lanes.ProcessState.ExitCode(); code != 130 || ended != 3 {
			t.Errorf("%v: exit code %d, %d of 3 lanes told as ended", sent, code, ended)
		}
	}
}
