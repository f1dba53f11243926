// Amounts, names and terms as the page writes them.

import type { DomainStatus, Status, Total } from "./answers";

const _ = cockpit.gettext;

const number = (n: number, digits: number) =>
    n.toLocaleString(cockpit.language.replace("_", "-"), { maximumFractionDigits: digits });

/** A count of pages. */
export const count = (n: number) => number(n, 0);

/** An amount of memory: 1.5 GiB. */
export function size(kib: number): string {
    for (const [unit, of] of [["TiB", 2 ** 30], ["GiB", 2 ** 20], ["MiB", 2 ** 10]] as const) {
        if (kib >= of)
            return number(kib / of, 1) + " " + unit;
    }
    return number(kib, 0) + " KiB";
}

export const percentWords = (p: number) => number(Math.floor(p * 10) / 10, 1) + " %";

// Joiners and styles of emoji have a shape; all else that has none, or that turns the direction
// of a text round, could make one name look like another.
const unseen = /(?<=\p{So}|[\u{1f3fb}-\u{1f3ff}])[\ufe0e\ufe0f\u200d]|(?<=\ufe0f)\u200d|([\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Variation_Selector}\u2800\u{16fe4}\u{1d159}])/gu;

/** A name, or a line of other origin, with a ? for each character that nobody would see. */
export const visible = (text: string) =>
    text.replace(/[\n\t]/g, " ").replace(unseen, (all, bad) => bad ? "?" : all);

/** A name within a sentence, which it can't turn round. */
export const named = (name: string) => "\u2068" + visible(name) + "\u2069";

/** The sizes of huge pages that the host has, in KiB. */
export const pageSizes = (status: Status) => [...new Set(status.pools.map(p => p.page_size_kib))].sort((a, b) => a - b);

/** What a guest takes from the pools: 512 pages of 2 MiB. */
export const totals = (list: Total[]) => list.map(t => t.pages < 0
    ? cockpit.format(_("$0 on pages of the host's default size"), size(t.memory_kib))
    : cockpit.format(cockpit.ngettext("$0 page of $1", "$0 pages of $1", t.pages), count(t.pages), size(t.page_size_kib))).join(", ");

/** What a guest's XML asks for, in a word or two. */
export function backing(guest: DomainStatus): string {
    switch (guest.backing) {
    case "thp": return _("transparent");
    case "none": return _("small pages");
    }
    return guest.totals.map(t => t.page_size_kib ? size(t.page_size_kib) : _("default size")).join(", ");
}

const terms: Record<string, string> = {
    running: _("running"),
    paused: _("paused"),
    "in shutdown": _("in shutdown"),
    "shut off": _("shut off"),
    crashed: _("crashed"),
    blocker: _("Blocker"),
    warning: _("Warning"),
    note: _("Note"),
    ok: _("OK"),
    ready: _("ready to start"),
    "no-memory": _("not enough huge pages"),
    "no-access": _("no access to the huge pages"),
    "no-mount": _("no usable hugetlbfs mount"),
    "bad-domain": _("its definition cannot work"),
    "bad-host": _("the host cannot do it"),
    unknown: _("not known"),
    kernel: _("the kernel"),
    hook: _("the hook"),
    vmhuge: "vmhuge",
    unaligned: _("not aligned to huge pages"),
    untouched: _("not touched by the guest yet"),
    swapped: _("swapped out"),
    "no-block": _("the kernel has no free block for it"),
    "cgroup-max": _("the memory limit of its cgroup"),
    busy: _("in use by the kernel or a device"),
    refused: _("refused by the kernel"),
    "not-tried": _("not tried"),
    passed: _("asks for no huge pages"),
    held: _("pages are there"),
    released: _("pages freed"),
    dropped: _("restored without huge pages"),
    failed: _("the hook failed"),
};

/** A word of vmhuge's answers in the user's language. */
export const term = (word: string) => Object.hasOwn(terms, word) ? terms[word]! : visible(word);
