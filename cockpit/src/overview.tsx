// The host at a glance: its pools, what is wrong with it, and what else vmhuge status tells.

import { Card, CardBody, CardTitle, DescriptionList, DescriptionListDescription, DescriptionListGroup, DescriptionListTerm, ExpandableSection } from "./patternfly";
import { type ReactNode, useState } from "react";
import { useAnswer } from "./answer";
import type { Check, Status } from "./answers";
import { Failed, Findings } from "./findings";
import { Pools } from "./pools";
import { run } from "./vmhuge";
import { count, size, visible } from "./words";

const _ = cockpit.gettext;

export function Overview({ status, changes }: { status: Status; changes: number }) {
    return (
        <div className="cards">
            <Card className="wide">
                <CardTitle component="h2">{_("Pools of huge pages")}</CardTitle>
                <CardBody><Pools pools={status.pools} /></CardBody>
            </Card>
            <Host changes={changes} />
            <Card>
                <CardTitle component="h2">{_("Also on this host")}</CardTitle>
                <CardBody><Rest status={status} /></CardBody>
            </Card>
        </div>
    );
}

/** What vmhuge check says of the host. */
function Host({ changes }: { changes: number }) {
    const { answer: check, failure } = useAnswer(() => run<Check>(["check"]), [changes]);
    const [shown, setShown] = useState(false);
    const facts = check?.host ?? [];
    const wrong = facts.filter(f => f.severity === "blocker" || f.severity === "warning");
    const fine = facts.filter(f => !wrong.includes(f));
    return (
        <Card>
            <CardTitle component="h2">{_("Host")}</CardTitle>
            <CardBody>
                {failure && <Failed failure={failure} />}
                {!check && !failure && <p>{_("Checking…")}</p>}
                {check && wrong.length === 0 && <p>{_("Nothing keeps guests from huge pages here.")}</p>}
                <Findings list={wrong} />
                {fine.length > 0 && (
                    <ExpandableSection isExpanded={shown} onToggle={(_event, open) => setShown(open)} toggleText={cockpit.format(_("What is fine ($0)"), count(fine.length))}>
                        <DescriptionList isHorizontal isCompact>
                            {fine.map((f, i) => <Term key={i} name={visible(f.name)}>{visible(f.value)}</Term>)}
                        </DescriptionList>
                    </ExpandableSection>
                )}
            </CardBody>
        </Card>
    );
}

export function Term({ name, children }: { name: string; children: ReactNode }) {
    return (
        <DescriptionListGroup>
            <DescriptionListTerm>{name}</DescriptionListTerm>
            <DescriptionListDescription>{children}</DescriptionListDescription>
        </DescriptionListGroup>
    );
}

/** What the hook is like, in a few words. */
export function hookWords({ installed, ready }: Status["hook"]): string {
    if (!installed)
        return _("not installed: libvirt does not call vmhuge when virsh or virt-manager starts a guest");
    return ready ? _("installed: libvirt calls it at the start of each guest") : _("installed, but libvirt does not call it yet");
}

function Rest({ status }: { status: Status }) {
    const notes = [...(status.reservations ?? []).map(r => cockpit.format(_("$0 pages of $1 are reserved for $2"), count(r.pages), size(r.page_size_kib), r.for)),
        ...(status.left_behind ?? []).map(l => cockpit.format(_("$0 is gone: $1 of its huge pages are still in the pools"), l.name, size(l.bytes / 1024))),
        ...(status.notes ?? []).map(n => [`${n.check}: ${n.have}`, n.do].filter(Boolean).join("; ")),
        ...status.domains.flatMap(d => (d.cautions ?? []).map(c => `${d.name}: ${c}`)),
        ...(status.set_aside ?? [])];
    return (
        <DescriptionList isHorizontal isCompact>
            {status.mounts.map(m => <Term key={m.point} name={_("Mount")}>{cockpit.format(_("$0, pages of $1"), visible(m.point), size(m.page_size_kib))}</Term>)}
            <Term name={_("Hook")}>{hookWords(status.hook)}</Term>
            {status.thp.enabled && <Term name={_("Transparent huge pages")}>{status.thp.enabled}</Term>}
            {notes.map((note, i) => <Term key={i} name={_("Note")}>{visible(note)}</Term>)}
        </DescriptionList>
    );
}
