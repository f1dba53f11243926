#!/usr/bin/python
# Copyright: the authors of vmhuge
# SPDX-License-Identifier: Apache-2.0

DOCUMENTATION = r"""
module: vmhuge_host
short_description: Set a host up for guests on huge pages
version_added: 1.0.0
description:
  - Reserves pages, and sets up what else guests on huge pages need, such as mounts, rights and
    AppArmor rules (C(vmhuge prepare)); installs libvirt's hook (C(vmhuge hook install)).
  - With I(state=absent) it removes the hook and reverts every change that vmhuge made to the host
    (C(vmhuge hook remove), C(vmhuge undo)). What somebody has changed since stays, with a warning.
  - It prepares the host if I(domains), I(autostart), I(pages), I(on_demand), I(free_vmemmap) or
    I(mount_group) is given.
author:
  - the authors of vmhuge (!UNKNOWN)
options:
  state:
    description: With C(absent) the other options are not used.
    type: str
    choices: [present, absent]
    default: present
  domains:
    description:
      - The guests to prepare for, each by its name, UUID or a pattern. They must be on huge pages
        already, see M(vmhuge.host.vmhuge_domain). With an empty list, nothing is prepared.
    type: list
    elements: str
  autostart:
    description:
      - Prepare for all guests with autostart. It can't be combined with I(domains), I(pages),
        I(on_demand), I(free_vmemmap) and I(mount_group).
    type: bool
    default: false
  pages:
    description: Grow a pool to at least this many pages, for any guest or program.
    type: int
  size:
    description: The size of I(pages), such as C(2M) or C(1G). The kernel's default if left out.
    type: str
  node:
    description: The NUMA node of I(pages). Any if left out.
    type: int
  program:
    description: Reserve I(pages) for this program instead of guests. With I(pages=0) that ends.
    type: str
  persist:
    description: Keep all of it across reboots.
    type: bool
    default: false
  overcommit:
    description: Reserve no pages; the kernel allocates them when a guest starts.
    type: bool
    default: false
  on_demand:
    description:
      - Areas for pages of 1 GiB, such as C(16G), or C(8G@0) for node 0. The kernel sets them aside
        from the next boot on (hugetlb_cma). It needs I(persist).
    type: list
    elements: str
  free_vmemmap:
    description: Free the page structs of huge pages, from the next boot on. It needs I(persist).
    type: bool
  default_hugepagesz:
    description: Make the size of these pages the kernel's default, from the next boot on. It needs I(persist).
    type: bool
    default: false
  mount_group:
    description: Let this group create files on the hugetlbfs mounts.
    type: str
  host_reserve:
    description: Memory that the host keeps for itself, such as C(8G). It is a setting of the hook, too.
    type: str
  drop_caches:
    description: Drop the host's page cache if too few pages can be allocated.
    type: bool
    default: false
  restart_libvirt:
    description: Restart libvirt's daemon if it has to read mounts or qemu.conf again. Guests keep running.
    type: bool
    default: true
  hook:
    description:
      - Install the hook, and reload libvirt's daemon if it has not looked for hooks yet; with C(false)
        remove it. It is left as it is if this is left out.
    type: bool
  drop_if_short:
    description: Let the hook restore a saved guest without huge pages if there are too few. It needs I(hook).
    type: bool
  uri:
    description: The libvirt that has the guests. vmhuge's own default is C(qemu:///system).
    type: str
attributes:
  check_mode:
    description: Can run in check mode, by C(vmhuge --dry-run).
    support: full
  diff_mode:
    description: Returns each change of the host. Of files it has only the lines that differ.
    support: full
requirements:
  - vmhuge on the host
  - root
seealso:
  - module: vmhuge.host.vmhuge_domain
notes:
  - The task does not fail if pages could not be allocated now but come with the next boot, see
    C(reboot_needed).
"""

EXAMPLES = r"""
- name: Reserve what two guests need, now and at every boot, and install the hook
  vmhuge.host.vmhuge_host:
    domains: [web1, db1]
    persist: true
    hook: true

- name: Reserve 1024 pages of 2 MiB on node 0
  vmhuge.host.vmhuge_host:
    pages: 1024
    size: 2M
    node: 0

- name: Take everything back
  vmhuge.host.vmhuge_host:
    state: absent
"""

RETURN = r"""
reboot_needed:
  description: Only the next boot brings all that was asked for.
  returned: always
  type: bool
changes:
  description: The changes that were made; in check mode those that would be. docs/schema/defs.json describes their fields.
  returned: always
  type: list
  elements: dict
  sample:
    - {kind: pool, path: /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages, from: "0", to: "48"}
findings:
  description: What vmhuge has to say about the host, each as a sentence.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vmhuge.host.plugins.module_utils.vmhuge import (
    DONE,
    SHORT,
    Vmhuge,
    change_diff,
    failures,
    finding_sentence,
)


# What can be prepared for no guest.
WITHOUT_GUESTS = ("pages", "on_demand", "free_vmemmap", "mount_group")


class Host:
    """The changes of one task, by one or more commands."""

    def __init__(self, module):
        self.module, self.given = module, module.params
        self.vmhuge = Vmhuge(module)
        self.changes, self.findings, self.diff = [], [], ""
        self.reboot_needed = False

    def did(self, changes, also=False, undone=False):
        """Notes changes that were made; also: something that is no change of a file."""
        self.changes += changes
        self.diff += change_diff(changes, undone)
        self.vmhuge.changed = self.vmhuge.changed or bool(changes) or bool(also)

    def hook(self):
        options = ["--reload"]
        if self.given["drop_if_short"] is not None:
            options.append("--drop-if-short=" + str(self.given["drop_if_short"]).lower())
        options += self.words("host_reserve")
        _code, answer = self.vmhuge.run(["hook", "install"], options)
        self.did(answer["changes"], answer["reloaded"] or (self.module.check_mode and answer["reload_needed"]))

    def remove_hook(self):
        code, answer = self.vmhuge.run(["hook", "remove"])
        self.did(answer["changes"])
        self.leave(code, answer["left"])

    def wants_preparation(self):
        # vmhuge prepare without any of these is for all guests with autostart.
        return self.given["autostart"] or any(self.given[name] not in (None, []) for name in ("domains", *WITHOUT_GUESTS))

    def prepare(self):
        given = self.given
        options = self.words("pages", "size", "node", "host_reserve", "mount_group", "uri")
        options += ["--on-demand=" + area for area in given["on_demand"] or []]
        options += self.flags("persist", "overcommit", "default_hugepagesz", "drop_caches", "restart_libvirt")
        if given["program"] is not None:
            options.append("--for=" + given["program"])
        if given["free_vmemmap"] is not None:
            options.append("--free-vmemmap=" + str(given["free_vmemmap"]).lower())
        code, answer = self.vmhuge.run(["prepare"], options, given["domains"] or ())
        host, domains = answer["host"], answer["domains"]
        reports = [domain for domain in domains if "findings" in domain]
        if self.module.check_mode:
            changes = would_change(host, reports)
            restarts = answer["restart_needed"] and given["restart_libvirt"]
        else:
            changes = host["changed"] + [change for report in reports for change in report["changed"]]
            restarts = answer["restarted"]
            if answer["restart_needed"]:
                self.module.warn("libvirt's daemon must be restarted to see the changes")
        self.did(changes, restarts or host.get("reservation"))
        self.reboot_needed = answer["reboot_needed"]
        missing = failures(domains)
        for report in [host, *reports]:
            for finding in report["findings"]:
                if self.module.check_mode and finding["fixable"]:
                    continue
                text = finding_sentence(finding)
                if "name" in report:
                    text = "%s: %s" % (report["name"], text)
                self.findings.append(text)
                if finding["severity"] == "blocker":
                    missing.append(text)
        if code != DONE and not (code == SHORT and self.reboot_needed):
            self.vmhuge.fail(*(missing or self.findings), rc=code, findings=self.findings, changes=self.changes)

    def undo(self):
        code, answer = self.vmhuge.run(["undo"])
        also = answer["given_back_kib"] or answer.get("reservations") or answer.get("reassembled")
        self.did(answer["undone"], also, undone=True)
        if also:
            self.diff += "%d KiB of huge pages freed\n" % answer["given_back_kib"]
        self.leave(code, answer["left"])

    def leave(self, code, left):
        """Says what somebody has changed since, so that it stays; it is an error if that is to be tried again."""
        for thing in left:
            text = "left as it is: %s %s: %s" % (thing["change"]["kind"], thing["change"]["path"], thing["reason"])
            self.findings.append(text)
            self.module.warn(text)
        if code != DONE:
            self.vmhuge.fail(*self.findings, rc=code, findings=self.findings, changes=self.changes)

    def words(self, *names):
        return ["--%s=%s" % (option(name), self.given[name]) for name in names if self.given[name] is not None]

    def flags(self, *names):
        return ["--" + option(name) for name in names if self.given[name]]


def would_change(host, reports):
    """What a dry run of vmhuge prepare shows as its changes."""
    findings = [finding for finding in host["findings"] if finding["fixable"]]
    findings += [finding for report in reports for finding in report["findings"] if finding["severity"] == "blocker"]
    changes = []
    for finding in findings:
        changes += [change for change in finding["changes"] if change not in changes]
    return changes


def option(name):
    return "connect" if name == "uri" else name.replace("_", "-")


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["present", "absent"], "default": "present"},
            "domains": {"type": "list", "elements": "str"},
            "autostart": {"type": "bool", "default": False},
            "pages": {"type": "int"},
            "size": {},
            "node": {"type": "int"},
            "program": {},
            "persist": {"type": "bool", "default": False},
            "overcommit": {"type": "bool", "default": False},
            "on_demand": {"type": "list", "elements": "str"},
            "free_vmemmap": {"type": "bool"},
            "default_hugepagesz": {"type": "bool", "default": False},
            "mount_group": {},
            "host_reserve": {},
            "drop_caches": {"type": "bool", "default": False},
            "restart_libvirt": {"type": "bool", "default": True},
            "hook": {"type": "bool"},
            "drop_if_short": {"type": "bool"},
            "uri": {},
        },
        mutually_exclusive=[["autostart", other] for other in ("domains", *WITHOUT_GUESTS)],
        required_by={"node": ["pages"], "program": ["pages"], "drop_if_short": ["hook"]},
        supports_check_mode=True,
    )
    host = Host(module)
    if module.params["state"] == "absent":
        host.remove_hook()
        host.undo()
    else:
        if module.params["hook"]:
            host.hook()
        elif module.params["hook"] is False:
            host.remove_hook()
        if host.wants_preparation():
            host.prepare()
    module.exit_json(
        changed=host.vmhuge.changed,
        reboot_needed=host.reboot_needed,
        changes=host.changes,
        findings=host.findings,
        diff={"prepared": host.diff},
    )


if __name__ == "__main__":
    main()
