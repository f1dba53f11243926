package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"vmhuge/hostprep/host"
)

// hookSettings is a file of one JSON object; without the file all is as by
// default.
var hookSettings = []string{"etc", "vmhuge", "hook.json"}

// Settings is what was asked for when the hook was installed.
type Settings struct {
	// DropIfShort lets a guest that is restored on a host without room for its
	// huge pages start without them, instead of failing.
	DropIfShort bool `json:"drop_if_short,omitempty"`
	// HostReserveKiB is the ordinary memory that the host keeps; 0: the rule's.
	HostReserveKiB int64 `json:"host_reserve_kib,omitempty"`
}

// ReadSettings reads what the hook shall do.
func ReadSettings(h host.Host) (Settings, error) {
	var s Settings
	text, err := h.Root.Read(hookSettings...)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(&s)
	}
	if err == nil && s.HostReserveKiB < 0 {
		err = errors.New("host_reserve_kib is negative")
	}
	if err != nil {
		return Settings{}, fmt.Errorf("%s: %w", h.Root.Path(hookSettings...), err)
	}
	return s, nil
}

// state is the file of the settings, as a Change has it.
func (s Settings) state() string {
	text, _ := json.Marshal(s) // numbers and bools: it can't fail
	return "0644 0:0\n" + string(text) + "\n"
}
