package integration

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// In a pair of micro-VMs number 1 has the test, and number 2 does what it is told: its
// libvirtd listens, and so does a server that runs commands.

// pairNumber is which of a pair of micro-VMs this is, 0 outside of one.
func pairNumber() int {
	n, _ := strconv.Atoi(os.Getenv(pairVar))
	return n
}

// listening are the arguments with which libvirtd listens.
var listening []string

// listen has libvirtd listen to the other machine of a pair.
func listen() error {
	listening = []string{"--listen"}
	return errors.Join(os.MkdirAll("/etc/libvirt", 0o755),
		os.WriteFile("/etc/hosts", []byte("127.0.0.1 localhost\n10.0.0.1 machine1\n10.0.0.2 machine2\n"), 0o644),
		os.WriteFile("/etc/libvirt/libvirtd.conf", []byte("listen_tls = 0\nlisten_tcp = 1\nauth_tcp = \"none\"\n"), 0o644))
}

// peer is the other machine, by its address.
type peer struct{ address string }

const commandPort = "1000"

// libvirt is the address of its libvirtd.
func (n peer) libvirt() string { return "qemu+tcp://" + n.address + "/system" }

// servePeer runs the commands of machine 1 until its test ends.
func servePeer(t *testing.T) {
	t.Helper()
	ended := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/run", func(w http.ResponseWriter, r *http.Request) {
		line, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		cmd := exec.Command("bash", "-c", string(line))
		cmd.Env = append(os.Environ(), "PATH="+scratch+"/bin:"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			w.WriteHeader(http.StatusTeapot)
			out = fmt.Appendf(out, "%v\n", err)
		}
		_, _ = w.Write(out)
	})
	mux.HandleFunc("/end", func(http.ResponseWriter, *http.Request) { close(ended) })
	listener, err := net.Listen("tcp", ":"+commandPort)
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	<-ended
	_ = server.Close()
}

// meetPeer waits for the other machine, which ends with this test.
func meetPeer(t *testing.T) peer {
	t.Helper()
	n := peer{"10.0.0.2"}
	deadline := time.Now().Add(hangs)
	for {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(n.address, commandPort), time.Minute)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Cleanup(func() { // it does not answer
		if r, err := http.Post(n.url("end"), "", nil); err == nil {
			r.Body.Close()
		}
	})
	return n
}

func (n peer) url(path string) string {
	return "http://" + net.JoinHostPort(n.address, commandPort) + "/" + path
}

// try runs a line of shell there.
func (n peer) try(t *testing.T, line string) (output string, ok bool) {
	t.Helper()
	r, err := http.Post(n.url("run"), "text/plain", strings.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	out, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), r.StatusCode == http.StatusOK
}

// run is try for what must succeed.
func (n peer) run(t *testing.T, line string) string {
	t.Helper()
	out, ok := n.try(t, line)
	if !ok {
		t.Fatalf("on the other machine: %s: %s", line, out)
	}
	return out
}
