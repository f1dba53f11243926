// One guest: what it asks for, the proof of what it has, what keeps it from starting, and
// what can be done with it.

import { Alert, Breadcrumb, BreadcrumbItem, Button, Card, CardBody, CardTitle, DescriptionList, Flex } from "./patternfly";
import { useState } from "react";
import { useAnswer } from "./answer";
import { Collapse, Disable, Enable, Start, Stop } from "./guest-actions";
import type { DomainStatus, Proof, Report } from "./answers";
import { Failed, Findings } from "./findings";
import { Name, Share } from "./guests";
import { Term } from "./overview";
import { runFor } from "./vmhuge";
import { backing, percentWords, size, term, totals, visible } from "./words";

const _ = cockpit.gettext;

interface Props { guest: DomainStatus; sizes: number[]; admin: boolean; changes: number; done: (sentence: string) => void; changed: () => void }

const runs = (g: DomainStatus) => g.state === "running" || g.state === "paused";

// Of what shares a button there is one at a time: who has pressed it stays on it.
const actions = {
    enable: { button: "pages", label: _("Put on huge pages…"), dialog: Enable, offered: (g: DomainStatus) => g.backing === "none" },
    disable: { button: "pages", label: _("Take off huge pages…"), dialog: Disable, offered: (g: DomainStatus) => g.backing !== "none" },
    start: { button: "run", label: _("Start…"), dialog: Start, offered: (g: DomainStatus) => !runs(g) && g.backing !== "none" },
    stop: { button: "run", label: _("Stop…"), dialog: Stop, offered: runs },
    collapse: { button: "collapse", label: _("Collapse…"), dialog: Collapse, offered: (g: DomainStatus) => runs(g) && g.backing !== "hugetlb" },
};

export function Guest({ guest, sizes, admin, changes, done, changed }: Props) {
    const [open, setOpen] = useState<keyof typeof actions>();
    const Dialog = open && actions[open].dialog;
    const close = () => setOpen(undefined);
    return (
        <div className="cards">
            <Breadcrumb className="wide" aria-label={_("Guests")}>
                <BreadcrumbItem to="#/guests">{_("Guests")}</BreadcrumbItem>
                <BreadcrumbItem isActive><Name of={guest.name} /></BreadcrumbItem>
            </Breadcrumb>
            <Card className="wide">
                <CardTitle component="h2"><Name of={guest.name} /></CardTitle>
                <CardBody>
                    <DescriptionList isHorizontal isCompact>
                        <Term name={_("State")}>{term(guest.state)}</Term>
                        <Term name={_("RAM")}>{size(guest.ram_kib)}</Term>
                        <Term name={_("Backing")}>{backing(guest)}</Term>
                        {guest.totals.length > 0 && <Term name={_("Takes")}>{totals(guest.totals)}</Term>}
                        <Term name="UUID">{guest.uuid}</Term>
                    </DescriptionList>
                    <Flex role="group" aria-label={_("Actions")}>
                        {Object.entries(actions).map(([id, action]) => action.offered(guest) &&
                            <Button key={action.button} variant="secondary" isDisabled={!admin} onClick={() => setOpen(id as keyof typeof actions)}>{action.label}</Button>)}
                    </Flex>
                </CardBody>
            </Card>
            {runs(guest) && <Evidence guest={guest} changes={changes} />}
            <Readiness guest={guest} changes={changes} />
            {Dialog && <Dialog guest={guest} sizes={sizes} close={close} changed={changed} done={sentence => { close(); done(sentence) }} />}
        </div>
    );
}

/** The status has the proof of guests that ask for huge pages; of another it is asked for here. */
function Evidence({ guest, changes }: { guest: DomainStatus; changes: number }) {
    const { answer: proof, failure } = useAnswer<Proof>(async () => guest.proof ?? runFor(["verify"], guest.uuid), [JSON.stringify(guest.proof), guest.state, changes]);
    return (
        <Card>
            <CardTitle component="h2">{_("Proof from the kernel")}</CardTitle>
            <CardBody>
                {failure && <Failed failure={failure} />}
                {!failure && !proof && <p>{_("Checking…")}</p>}
                {proof && <Account of={proof} />}
                {guest.cautions?.map((caution, i) => <Alert key={i} isInline isPlain variant="warning" title={visible(caution)} />)}
            </CardBody>
        </Card>
    );
}

const proofWords = ({ verdict, backed_percent, ram_kib }: Proof) =>
    verdict === "all-huge" ? cockpit.format(_("All $0 of its RAM is on huge pages."), size(ram_kib))
        : verdict === "partly" ? cockpit.format(_("$0 of its $1 of RAM is on huge pages."), percentWords(backed_percent), size(ram_kib))
            : cockpit.format(_("None of its $0 of RAM is on huge pages."), size(ram_kib));

function Account({ of }: { of: Proof }) {
    return (
        <>
            <Alert isInline isPlain variant={of.verdict === "all-huge" ? "success" : "info"} title={proofWords(of)} />
            <DescriptionList isHorizontal isCompact>
                <Term name={_("On huge pages")}><Share percent={of.backed_percent} /></Term>
                {Object.entries(of.hugetlb_kib).map(([page, kib]) => <Term key={page} name={cockpit.format(_("Pages of $0"), size(Number(page)))}>{size(kib)}</Term>)}
                {of.thp_kib > 0 && <Term name={_("Transparent huge pages")}>{size(of.thp_kib)}</Term>}
                {of.small_kib - of.untouched_kib > 0 && <Term name={_("Small pages")}>{size(of.small_kib - of.untouched_kib)}</Term>}
                {of.untouched_kib > 0 && <Term name={_("Not touched yet")}>{size(of.untouched_kib)}</Term>}
                {Object.entries(of.by_node).map(([node, kib]) => <Term key={node} name={cockpit.format(_("Node $0"), node)}>{size(kib)}</Term>)}
                <Term name={_("Read from")}>{of.evidence.map(path => <div key={path}><code className="name">{visible(path)}</code></div>)}</Term>
            </DescriptionList>
        </>
    );
}

/** What vmhuge check says of the guest. */
function Readiness({ guest, changes }: { guest: DomainStatus; changes: number }) {
    const { answer: report, failure } = useAnswer(() => runFor<Report>(["check"], guest.uuid), [guest.state, guest.backing, changes]);
    return (
        <Card>
            <CardTitle component="h2">{_("Would it start now?")}</CardTitle>
            <CardBody>
                {failure && <Failed failure={failure} />}
                {!failure && !report && <p>{_("Checking…")}</p>}
                {report && (
                    <>
                        <p>
                            {report.verdict === "running" ? _("It runs.") : report.ready ? _("Yes: it is ready to start.") : cockpit.format(_("No: $0."), term(report.verdict))}{" "}
                            {!report.ready && report.fixable && report.verdict !== "running" && _("Start fixes that by itself.")}
                        </p>
                        <Findings list={report.findings} />
                    </>
                )}
            </CardBody>
        </Card>
    );
}
