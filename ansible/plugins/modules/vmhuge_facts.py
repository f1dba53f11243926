#!/usr/bin/python
# Copyright: the authors of vmhuge
# SPDX-License-Identifier: Apache-2.0

DOCUMENTATION = r"""
module: vmhuge_facts
short_description: Read what a host has for guests on huge pages
version_added: 1.0.0
description:
  - Returns C(vmhuge facts) as the fact C(ansible_facts.vmhuge) - the page pools by node and size
    with what the kernel could still allocate, the headroom, the hook, and each guest with its verdict.
  - It does not fail if libvirt can't be reached; C(domains_error) then says why.
author:
  - the authors of vmhuge (!UNKNOWN)
options:
  uri:
    description: The libvirt to connect to. vmhuge's own default is C(qemu:///system).
    type: str
attributes:
  check_mode:
    description: Can run in check mode, as it changes nothing.
    support: full
  facts:
    description: Sets facts.
    support: full
requirements:
  - vmhuge on the host
"""

EXAMPLES = r"""
- name: Read the facts
  vmhuge.host.vmhuge_facts:

- name: Show which guests would not start
  ansible.builtin.debug:
    msg: "{{ ansible_facts.vmhuge.domains | rejectattr('ready') | map(attribute='name') }}"
"""

RETURN = r"""
ansible_facts:
  description: The facts.
  returned: always
  type: dict
  contains:
    vmhuge:
      description: What C(vmhuge facts) prints; docs/schema/facts.json describes every field.
      type: dict
      sample: {hostname: host1, headroom_kib: 14680064, domains: []}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vmhuge.host.plugins.module_utils.vmhuge import Vmhuge


def main():
    module = AnsibleModule(argument_spec={"uri": {}}, supports_check_mode=True)
    uri = module.params["uri"]
    _code, facts = Vmhuge(module).run(["facts"], ["--connect=" + uri] if uri else [], writes=False)
    module.exit_json(changed=False, ansible_facts={"vmhuge": facts})


if __name__ == "__main__":
    main()
