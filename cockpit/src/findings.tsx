// What checks found, what would change, and what failed.

import { Alert, Label } from "./patternfly";
import type { Change, Finding } from "./answers";
import type { Failure } from "./vmhuge";
import { term, visible } from "./words";

const _ = cockpit.gettext;

const colours = { blocker: "red", warning: "orange", note: "blue", ok: "green" } as const;

/** Findings, each with what is there, what is needed, and its cure. */
export function Findings({ list }: { list: Finding[] }) {
    return (
        <ul className="findings">
            {list.map((f, i) => (
                <li key={i}>
                    <Label isCompact color={colours[f.severity]}>{term(f.severity)}</Label>{" "}
                    <strong>{visible(f.check)}</strong>
                    <p>{visible(f.have)}</p>
                    {f.need && <p>{_("Needed:")} {visible(f.need)}</p>}
                    {f.do && <p>{_("What to do:")} {visible(f.do)}</p>}
                </li>
            ))}
        </ul>
    );
}

/** Changes of the host; a file that is written is shown whole. */
export function Changes({ list }: { list: Change[] }) {
    return (
        <ul className="changes pf-v6-c-list">
            {list.map((c, i) => (
                <li key={i}>
                    {visible(c.kind)} <code>{visible(c.path)}</code>
                    {c.to.includes("\n")
                        ? <Text of={c.to} label={visible(c.path)} />
                        : <>: {c.from && <><code>{visible(c.from)}</code> → </>}<code>{visible(c.to) || "–"}</code></>}
                </li>
            ))}
        </ul>
    );
}

/** A text of many lines as it is; of a diff, what is added and removed is marked. */
export function Text({ of, label, diff }: { of: string; label: string; diff?: boolean }) {
    return (
        <pre className="text" tabIndex={0} role="region" aria-label={label}>
            {of.replace(/\n$/, "").split("\n").map((line, i) => {
                const text = line.split("\t").map(visible).join("\t") + "\n";
                if (diff && line.startsWith("+"))
                    return <ins key={i}>{text}</ins>;
                return diff && line.startsWith("-") ? <del key={i}>{text}</del> : text;
            })}
        </pre>
    );
}

/** A command that failed: what, why, and what to do. */
export function Failed({ failure }: { failure: Failure }) {
    const { what, why, do: cure } = failure.trouble;
    return (
        <Alert isInline variant="danger" title={visible(what) || _("It failed")}>
            <p>{visible(why)}</p>
            {cure && <p>{_("What to do:")} {visible(cure)}</p>}
            {failure.changed.length > 0 && <><p>{_("Changed before that:")}</p><Changes list={failure.changed} /></>}
        </Alert>
    );
}
