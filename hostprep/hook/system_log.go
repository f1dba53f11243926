package hook

import (
	"encoding/binary"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

	"vmhuge/hostprep/host"
)

// journalSocket is where systemd's journal takes entries.
//
// Source: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/.
var journalSocket = []string{"run", "systemd", "journal", "socket"}

// maxReason is in bytes: an entry has to fit into one datagram.
const maxReason = 16 << 10

// tellSystem writes an event to the journal, where it outlives the host's next boot. It waits
// for nobody: without a journal, or with one that does not keep up, the entry is lost.
func tellSystem(h host.Host, e Event) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_ = unix.Sendto(fd, entry(e), unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: h.Root.Path(journalSocket...)})
}

// entry is an event as the journal takes it.
func entry(e Event) []byte {
	message := e.Operation + " of " + e.Name + ": " + string(e.Result)
	if e.Why != "" {
		message += " (" + e.Why[:min(len(e.Why), maxReason)] + ")"
	}
	priority := "6"
	switch e.Result {
	case Failed:
		priority = "3"
	case Refused, Dropped:
		priority = "4"
	case Passed:
		priority = "7"
	}
	text := make([]byte, 0, 512)
	for _, field := range [][2]string{
		{"MESSAGE", strings.Map(printable, message)},
		{"PRIORITY", priority},
		{"SYSLOG_IDENTIFIER", "vmhuge"},
		{"VMHUGE_OPERATION", e.Operation},
		{"VMHUGE_RESULT", string(e.Result)},
		{"VMHUGE_GUEST", e.Name},
		{"VMHUGE_UUID", e.UUID},
	} {
		// With its length in front a value may hold anything.
		text = append(append(text, field[0]...), '\n')
		text = binary.LittleEndian.AppendUint64(text, uint64(len(field[1])))
		text = append(append(text, field[1]...), '\n')
	}
	return text
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return ' '
}
