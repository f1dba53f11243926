package session

// Elsewhere names the test for what is not run as it stands on its page: by the
// page, by a block's first line, or by the command.
var Elsewhere = map[string]string{
	"docs/engines.md":         "integration/engines_test.go#TestEngines",
	"docs/server.md":          "integration/lab/server_test.go#TestServerGuide",
	"docs/troubleshooting.md": "explain/troubleshooting_test.go#TestTroubleshooting", // the words of others

	"sudo vmhuge top":                                                     "integration/top_test.go#TestTop",
	"sudo vmhuge start db1 --if-short thp":                                "integration/if_short_test.go#TestStartIfShort",
	"sudo vmhuge start web2 --at-least 95%":                               "integration/collapse_test.go#TestStartAtLeast",
	"sudo vmhuge collapse --follow":                                       "integration/collapse_test.go#TestCollapseFollow",
	"sudo vmhuge memory web1 +4G":                                         "integration/memory_test.go#TestMemoryGuest",
	"sudo vmhuge memory web1 -4G":                                         "integration/memory_test.go#TestMemoryGuest",
	"sudo vmhuge enable web1 --reserve-growth 4G":                         "integration/one_gib_test.go#TestMicroVMPagesOf1GiB",
	"./just package":                                                      "integration/lab/package_test.go#TestPackage",
	"sudo ./just package package-cockpit":                                 "packaging/cockpit_test.go#TestCockpitPackages",
	"sudo ./just demo":                                                    "integration/demo_test.go#TestDemo",
	"vmhuge check --dest qemu+ssh://host2/system web1":                    "integration/dest_test.go#TestCheckDest",
	"systemctl enable --now vmhuge-metrics":                               "integration/lab/metrics_test.go#TestMetricsUnit",
	"journalctl -t vmhuge":                                                "hostprep/hook/system_log_test.go#TestSystemLog",
	"ansible-galaxy collection install dist/vmhuge-host-*.tar.gz":         "integration/lab/ansible_test.go#TestAnsible",
	"ansible-playbook -i hosts site.yml --check --diff":                   "integration/lab/ansible_test.go#TestAnsible",
	"ansible-playbook -i hosts site.yml":                                  "integration/lab/ansible_test.go#TestAnsible",
	"ansible-playbook -i hosts site.yml --extra-vars vmhuge_state=absent": "integration/lab/ansible_test.go#TestAnsibleThreeHosts",
	"- vmhuge.host.vmhuge_domain:":                                        "cmd/vmhuge/main_test.go#TestScripts",
	"- vmhuge.host.vmhuge_facts:":                                         "cmd/vmhuge/main_test.go#TestScripts",
	"# /etc/ansible/facts.d/vmhuge.fact, mode 0755":                       "cmd/vmhuge/main_test.go#TestScripts",
	"ansible hypervisors -b -m ansible.builtin.command -a 'vmhuge facts' | grep '^{' > hosts.json": "cmd/vmhuge/main_test.go#TestScripts",
	"scrape_configs:": "integration/metrics_test.go#TestMetrics",
	"# /etc/systemd/system/vmhuge-metrics-file.service":                               "integration/metrics_test.go#TestMetrics",
	"sudo vmhuge exec -- qemu-system-x86_64 -m 4G -enable-kvm -runas nobody disk.img": "integration/exec_test.go#TestExec",
}
