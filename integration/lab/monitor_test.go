package lab

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"time"
)

// monitor speaks QMP, the protocol of QEMU's monitor, on QEMU's stdin and stdout.
type monitor struct {
	in  *json.Encoder
	out *json.Decoder
}

func newMonitor(in io.Writer, out io.Reader) (*monitor, error) {
	m := &monitor{json.NewEncoder(in), json.NewDecoder(out)}
	return m, m.do("qmp_capabilities", nil, nil)
}

// do runs a command and reads its answer. What QEMU says unasked is left out:
//
//	{"QMP": {"version": …}}
//	{"timestamp": …, "event": "RESUME"}
func (m *monitor) do(command string, arguments map[string]any, answer any) error {
	message := map[string]any{"execute": command}
	if arguments != nil {
		message["arguments"] = arguments
	}
	if err := m.in.Encode(message); err != nil {
		return fmt.Errorf("QEMU's monitor: %s: %w", command, err)
	}
	for {
		var reply struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		switch err := m.out.Decode(&reply); {
		case err != nil:
			return fmt.Errorf("QEMU's monitor: %s: %w", command, err)
		case reply.Error != nil:
			return fmt.Errorf("QEMU's monitor: %s: %s", command, reply.Error.Desc)
		case reply.Return != nil && answer != nil:
			return json.Unmarshal(reply.Return, answer)
		case reply.Return != nil:
			return nil
		}
	}
}

var forwarding = regexp.MustCompile(`HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)`)

// port asks for the port that leads to the machine's sshd.
//
//	Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
//	TCP[HOST_FORWARD]  12       127.0.0.1 41563       10.0.2.15    22     0     0
func (m *monitor) port() (string, error) {
	var table string
	if err := m.do("human-monitor-command", map[string]any{"command-line": "info usernet"}, &table); err != nil {
		return "", err
	}
	found := forwarding.FindStringSubmatch(table)
	if found == nil {
		return "", fmt.Errorf("QEMU forwards no port:\n%s", table)
	}
	return found[1], nil
}

// running waits until a saved state has been loaded, in which the machine is stopped, and
// lets it go on.
func (m *monitor) running() error {
	for {
		var answer struct {
			Running bool
			Status  string
		}
		if err := m.do("query-status", nil, &answer); err != nil || answer.Running {
			return err
		}
		if answer.Status == "paused" {
			return m.do("cont", nil, nil)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// save stops the machine, writes its state to a file, and ends QEMU. Of a machine that runs
// meanwhile QEMU without KVM may miss a page that changes, and each kernel that goes on from
// that state panics.
func (m *monitor) save(file string) error {
	type args = map[string]any
	if err := m.do("stop", nil, nil); err != nil {
		return err
	}
	if err := m.do("migrate-set-parameters", args{"max-bandwidth": 1 << 40}, nil); err != nil { // not 128 MiB/s
		return err
	}
	if err := m.do("migrate", args{"uri": "exec:cat > " + file}, nil); err != nil {
		return err
	}
	for {
		var progress struct {
			Status string
			Desc   string `json:"error-desc"`
		}
		if err := m.do("query-migrate", nil, &progress); err != nil {
			return err
		}
		switch progress.Status {
		case "completed":
			_ = m.do("quit", nil, nil) // it may be gone before it answers
			return nil
		case "failed", "cancelled":
			return fmt.Errorf("QEMU cannot save its state: %s", progress.Desc)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
