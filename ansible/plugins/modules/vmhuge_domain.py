#!/usr/bin/python
# Copyright: the authors of vmhuge
# SPDX-License-Identifier: Apache-2.0

DOCUMENTATION = r"""
module: vmhuge_domain
short_description: Put libvirt guests on huge pages
version_added: 1.0.0
description:
  - Changes the persistent XML of guests so that their RAM is on huge pages (C(vmhuge enable)), or
    takes that back (C(vmhuge disable)).
  - A running guest changes at its next cold start.
  - An option that is left out leaves that setting of the guest as it is.
author:
  - the authors of vmhuge (!UNKNOWN)
options:
  name:
    description:
      - The guests, each by its name or UUID, or a pattern such as C(web*), which stands for all
        guests whose names match it.
    type: list
    elements: str
    required: true
    aliases: [names]
  state:
    description:
      - Whether the guests are on huge pages. With C(disabled) the other options are not used, and
        huge pages that vmhuge did not add stay.
    type: str
    choices: [enabled, disabled]
    default: enabled
  size:
    description: The page size, such as C(2M) or C(1G); C(auto), or C(default) for the host's.
    type: str
  source:
    description: Where the memory comes from, a hugetlbfs mount or memfd.
    type: str
    choices: [file, memfd]
  threads:
    description: Threads that allocate the memory; a number, C(auto) or C(none).
    type: str
  round:
    description: Raise the guest's memory to a multiple of the page size.
    type: bool
    default: false
  thp:
    description:
      - Use transparent huge pages instead of reserved ones. It can't be combined with C(size),
        C(source), C(keep), C(reserve_growth) and C(if_short).
    type: bool
    default: false
  at_least:
    description: With C(thp), the share of the guest's RAM in use that must be on huge pages, such as C(95%).
    type: str
  keep:
    description: How long to keep its pages for the guest after it stops, such as C(90m), C(always) or C(no).
    type: str
  reserve_growth:
    description: Pages that the guest can grow by while it runs, such as C(4G), or C(no).
    type: str
  if_short:
    description: What C(vmhuge start) puts the guest on if its pages are short, C(fail), a page size or C(thp).
    type: str
  uri:
    description: The libvirt to connect to. vmhuge's own default is C(qemu:///system).
    type: str
attributes:
  check_mode:
    description: Can run in check mode, by C(vmhuge --dry-run).
    support: full
  diff_mode:
    description: Returns vmhuge's diff of the guests' XML.
    support: full
requirements:
  - vmhuge on the host
seealso:
  - module: vmhuge.host.vmhuge_host
notes:
  - C(no) and C(90m) are words for vmhuge; quote C("no"), which YAML reads as false.
"""

EXAMPLES = r"""
- name: Put web1 and db1 on huge pages
  vmhuge.host.vmhuge_domain:
    name: [web1, db1]
    size: 2M

- name: Put a database on pages of 1 GiB, and keep them for it while it is off
  vmhuge.host.vmhuge_domain:
    name: db2
    size: 1G
    round: true
    keep: always

- name: Use transparent huge pages
  vmhuge.host.vmhuge_domain:
    name: "desktop*"
    thp: true
    at_least: 95%

- name: Take it back
  vmhuge.host.vmhuge_domain:
    name: web1
    state: disabled
"""

RETURN = r"""
domains:
  description: What vmhuge says of each guest; docs/schema/enable.json describes every field.
  returned: always
  type: list
  elements: dict
  sample:
    - {name: web1, state: shut off, backing: hugetlb, done: true}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vmhuge.host.plugins.module_utils.vmhuge import Vmhuge, failures

WORDS = ("size", "source", "threads", "at_least", "keep", "reserve_growth", "if_short")


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True, "aliases": ["names"]},
            "state": {"choices": ["enabled", "disabled"], "default": "enabled"},
            "size": {},
            "source": {"choices": ["file", "memfd"]},
            "threads": {},
            "round": {"type": "bool", "default": False},
            "thp": {"type": "bool", "default": False},
            "at_least": {},
            "keep": {},
            "reserve_growth": {},
            "if_short": {},
            "uri": {},
        },
        supports_check_mode=True,
    )
    given = module.params
    if not given["name"]:
        module.exit_json(changed=False, domains=[])
    vmhuge = Vmhuge(module)
    options = ["--connect=" + given["uri"]] if given["uri"] else []
    command = "disable"
    if given["state"] == "enabled":
        command = "enable"
        options += ["--%s=%s" % (word.replace("_", "-"), given[word]) for word in WORDS if given[word] is not None]
        options += ["--" + word for word in ("round", "thp") if given[word]]
    code, answer = vmhuge.run([command], options, given["name"])

    domains = answer["domains"]
    done = [domain for domain in domains if domain.get("diff") or domain.get("freed_kib")]
    vmhuge.changed = bool(done)
    for domain in domains:
        for warning in domain.get("warnings", []):
            module.warn("%s: %s" % (domain["name"], warning))
    if code:
        vmhuge.fail(*failures(domains), rc=code, domains=domains)
    module.exit_json(changed=vmhuge.changed, domains=domains, diff={"prepared": "".join(domain["diff"] for domain in done)})


if __name__ == "__main__":
    main()
