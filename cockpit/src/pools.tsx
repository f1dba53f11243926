// The pools of huge pages, as vmhuge status draws them: in its words, and all bars on one scale.

import type { Pool } from "./answers";
import { Table } from "./table";
import { count, size } from "./words";

const _ = cockpit.gettext;

/** The parts of a pool in pages, which do not overlap. Pages that were added for a guest are taken for those in use. */
function parts(p: Pool) {
    const used = Math.max(0, p.total - p.free);
    const ours = Math.min(Math.max(0, p.held_by_us), p.total);
    const reserved = Math.min(Math.max(0, p.reserved), p.free);
    const waiting = Math.max(0, ours - used); // for a guest that starts
    return {
        used: used - Math.min(used, ours),
        ours,
        reserved: Math.max(0, reserved - waiting),
        free: Math.max(0, p.free - Math.max(reserved, waiting)),
        available: Math.max(0, p.could_make ?? 0),
    };
}

export function Pools({ pools }: { pools: Pool[] }) {
    if (pools.length === 0)
        return <p>{_("The kernel has no huge pages that can be reserved.")}</p>;
    const whole = Math.max(1, ...pools.map(p => (p.total + Math.max(0, p.could_make ?? 0)) * p.page_size_kib));
    const words = { used: _("used"), ours: _("added by vmhuge"), reserved: _("reserved"), free: _("free"), available: _("available") };
    const bar = (p: Pool) => (
        <div className="bar" aria-hidden="true">
            {Object.entries(parts(p)).map(([part, n]) => n > 0 && <span key={part} className={part} style={{ width: `${100 * n * p.page_size_kib / whole}%` }} />)}
        </div>
    );
    const known = (n: number | undefined) => n === undefined || n < 0 ? "?" : count(n);
    return (
        <>
            <Table
                label={_("Pools of huge pages, in pages")} rows={pools} id={p => `${p.node} ${p.page_size_kib}`}
                columns={[
                    { title: _("Node"), cell: p => p.node < 0 ? _("all") : p.node },
                    { title: _("Pages"), cell: p => size(p.page_size_kib) },
                    { title: _("Share"), cell: bar },
                    { title: _("Total"), number: true, cell: p => known(p.total) },
                    { title: _("Used"), number: true, cell: p => known(p.total - p.free) },
                    { title: _("Reserved"), number: true, cell: p => known(p.reserved) },
                    { title: _("Free"), number: true, cell: p => known(p.free - Math.max(0, p.reserved)) },
                    { title: _("By vmhuge"), number: true, cell: p => known(p.held_by_us) },
                    { title: _("Available"), number: true, cell: p => known(p.could_make) },
                ]}
            />
            <ul className="legend" aria-hidden="true">
                {Object.entries(words).map(([part, word]) => <li key={part}><span className={"mark " + part} />{word}</li>)}
            </ul>
        </>
    );
}
