package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shells are what each shell runs to complete a word behind vmhuge and a
// command. cmd/vmhuge tests the scripts in depth.
var shells = map[string]string{
	"bash": `eval "$(vmhuge completion bash)"; COMP_WORDS=(vmhuge %s ''); COMP_CWORD=2; _vmhuge; printf '%%s\n' "${COMPREPLY[@]}"`,
	"zsh":  `compdef() { }; _describe() { print -rl -- $found }; words=(vmhuge %s ''); CURRENT=3; eval "$(vmhuge completion zsh)"; _vmhuge`,
	"fish": `vmhuge completion fish | source; complete -C 'vmhuge %s '`,
}

// TestCompletion completes domains by what each command is for.
func TestCompletion(t *testing.T) {
	hostAsBefore(t)
	off := nameOf(t, define(t, guest{name: guestPrefix + "off"}))
	paused := define(t, guest{name: guestPrefix + "paused"})
	startPaused(t, paused)
	on := nameOf(t, paused)
	for shell, script := range shells {
		if _, err := exec.LookPath(shell); err != nil {
			t.Errorf("there is no %s here; run: sudo ./just deps-test", shell)
			continue
		}
		for command, want := range map[string][]string{"start": {off}, "stop": {on}, "verify": {on}, "collapse": {on}, "check": {off, on}} {
			cmd := exec.Command(shell, "-c", fmt.Sprintf(script, command))
			cmd.Env = append(os.Environ(), "PATH="+filepath.Join(scratch, "bin")+":"+os.Getenv("PATH"), "HOME="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if got := strings.Fields(string(out)); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s completes %s with %q, %v; want %q", shell, command, out, err, want)
			}
		}
	}
}
