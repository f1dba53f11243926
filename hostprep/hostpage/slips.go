package hostpage

import (
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
		do := "where the boot loader has it (GRUB: /etc/default/grub, then update-grub or grub2-mkconfig), then reboot"
		switch {
		case s.Where != "" && s.After != "":
			do = "in " + s.Where + ", then: " + s.After + "; reboot"
		case s.Where != "":
			do = "in " + s.Where + ", then reboot"
		}
		facts = append(facts, slipped(s, do))
	}
	inFiles, err := slips.InFiles(h)
	for _, s := range inFiles {
		after := map[slips.Place]string{slips.Fstab: "systemctl daemon-reload; mount -a", slips.Sysctl: "sysctl --system", slips.Tuned: "systemctl restart tuned",
			slips.Script: "reboot", slips.MountUnit: "systemctl daemon-reload; systemctl restart " + s.Unit}[s.In]
		facts = append(facts, slipped(s, "in "+s.Where+", then: "+after))
	}
	return facts, err
}}

// slipped is the line about one such mistake; do says where to correct it, and what to
// run afterwards.
func slipped(s slips.Slip, do string) Fact {
	name := string(s.In)
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
