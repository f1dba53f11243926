package hostpage

import (
	"path"
	"strings"

	"vmhuge/hostprep"
	"vmhuge/hostprep/host"
	"vmhuge/hostprep/slips"
)

// slipsCheck shows settings of huge pages that have no effect because of a mistake in
// them: on the kernel's command line, in fstab, in mount units and in sysctl's files.
var slipsCheck = hostCheck{"boot settings", func(h host.Host, _ anyGuest) ([]Fact, error) {
	onCmdline, err := slips.OnCmdline(h)
	if err != nil {
		return nil, err
	}
	var facts []Fact
	for _, s := range onCmdline {
		facts = append(facts, slipped("command line", s, "where the boot loader has it (GRUB: /etc/default/grub, then update-grub or grub2-mkconfig), then reboot"))
	}
	inFiles, err := slips.InFiles(h)
	for _, s := range inFiles {
		file, _, _ := strings.Cut(s.Where, ":")
		name, after := "fstab", "systemctl daemon-reload; mount -a"
		switch {
		case strings.HasSuffix(s.Right, "of the two lines") && !strings.Contains(file, "sysctl"):
			name, after = "pool", "reboot"
		case strings.Contains(file, "sysctl"):
			name, after = "sysctl", "sysctl --system"
		case strings.HasSuffix(file, ".mount"):
			unit := path.Base(file)
			if renamed, ok := strings.CutPrefix(s.Right, "the name "); ok { // systemd knows no other afterwards
				unit = renamed
			}
			name, after = "mount unit", "systemctl daemon-reload; systemctl restart "+unit
		}
		facts = append(facts, slipped(name, s, "in "+s.Where+", then: "+after))
	}
	return facts, err
}}

// slipped is the line about one such mistake; do says where to correct it, and what to
// run afterwards.
func slipped(name string, s slips.Slip, do string) Fact {
	have, need := s.Word+" "+s.Why, s.Right
	if s.Where != "" {
		have = s.Where + ": " + have
	}
	if need == "" {
		return off(hostprep.Warning, name, have, "nothing in its place", "take it out "+do)
	}
	severity := hostprep.Warning
	if s.Works {
		severity = hostprep.Note
	}
	return off(severity, name, have, need, "correct it "+do)
}
