# Copyright: the authors of vmhuge
# SPDX-License-Identifier: Apache-2.0
"""Runs vmhuge, and reads what it answers. The modules add nothing that it does not say."""

import difflib
import json

# Exit codes of vmhuge; with SHORT only memory or pages are missing.
DONE, SHORT = 0, 4


class Vmhuge:
    """The program on this host, called for one task."""

    def __init__(self, module):
        self.module = module
        self.path = module.get_bin_path("vmhuge", required=True)
        self.changed = False  # what has been changed so far counts if a later command fails

    def run(self, command, options=(), names=(), writes=True):
        """Runs a command and returns its exit code and its answer. Names are data: no shell reads
        them, and after -- none is taken for an option. With check mode nothing is written."""
        args = [self.path, *command, "--json", *options]
        if writes and self.module.check_mode:
            args.append("--dry-run")
        if names:
            args += ["--", *names]
        code, out, err = self.module.run_command(args)
        try:
            answer = json.loads(out)
        except ValueError:
            self.fail(err.strip() or out.strip() or "it answered nothing", rc=code, cmd=args)
        if "error" in answer:
            changes = made(answer)
            self.changed = self.changed or bool(changes) or bool(answer.get("given_back_kib"))
            self.fail(sentence(answer["error"]), rc=code, cmd=args, error=answer["error"], changes=changes)
        return code, answer

    def fail(self, *sentences, **more):
        self.module.fail_json(msg="vmhuge: " + "; ".join(sentences), changed=self.changed, **more)


def made(answer):
    """The changes that a command had made before it failed."""
    parts = [answer, answer.get("host", {}), *answer.get("domains", [])]
    return [change for part in parts for key in ("changed", "undone") for change in part.get(key, [])]


def sentence(error):
    """An error in vmhuge's words: what failed: why; what to do."""
    text = "%s: %s" % (error["what"], error["why"]) if error["what"] else error["why"]
    return "%s; %s" % (text, error["do"]) if error["do"] else text


def finding_sentence(finding):
    """A finding in vmhuge's words."""
    text = "%s: %s" % (finding["check"], finding["have"])
    if finding["need"]:
        text += "; needed: " + finding["need"]
    return "%s; %s" % (text, finding["do"]) if finding["do"] else text


def failures(domains):
    """The errors of those of several domains that failed."""
    return [sentence(domain["error"]) for domain in domains if "error" in domain]


def change_diff(changes, undone=False):
    """The text of a host's changes for --diff. Of a file only the lines that differ: what stays may be
    another program's password."""
    text = ""
    for change in changes:
        before, after = change["from"], change["to"]
        if undone:
            before, after = after, before
        if change["kind"] == "file":
            lines = difflib.unified_diff(file_lines(before), file_lines(after), change["path"], change["path"], n=0)
            text += "".join(line if line.endswith("\n") else line + "\n" for line in lines)
        else:
            text += "%s %s: %s -> %s\n" % (change["kind"], change["path"], before or "nothing", after or "nothing")
    return text


def file_lines(state):
    """The lines of a file: a change's state of one has its mode and owner before them."""
    return state.partition("\n")[2].splitlines(keepends=True)
