// All guests, and how much of their RAM is on huge pages.

import { Alert, Card, CardBody, CardTitle } from "./patternfly";
import type { Status } from "./answers";
import { Table } from "./table";
import { backing, percentWords, size, term, visible } from "./words";

const _ = cockpit.gettext;

/** A name as data: it can't turn the text around it, and hides nothing. */
export const Name = ({ of }: { of: string }) => <bdi className="name" translate="no">{visible(of) || _("(no name)")}</bdi>;

/** How much of a guest's RAM is on huge pages, as a bar and in words. */
export function Share({ percent }: { percent: number }) {
    return (
        <div className="share">
            <div className="bar" aria-hidden="true"><span className="used" style={{ width: `${percent}%` }} /></div>
            <span>{percentWords(percent)}</span>
        </div>
    );
}

export function Guests({ status }: { status: Status }) {
    const unknown = status.domains_error;
    return (
        <Card>
            <CardTitle component="h2">{_("Guests of this host")}</CardTitle>
            <CardBody>
                {unknown && <Alert isInline variant="warning" title={visible(unknown.what)}><p>{visible(unknown.why)}</p><p>{visible(unknown.do)}</p></Alert>}
                {!unknown && status.domains.length === 0 && <p>{_("libvirt knows no guest here.")}</p>}
                {status.domains.length > 0 && (
                    <Table
                        label={_("Guests of this host")} rows={status.domains} id={d => d.uuid}
                        columns={[
                            { title: _("Guest"), cell: d => <a href={`#/guests/${d.uuid}`}><Name of={d.name} /></a> },
                            { title: _("State"), cell: d => term(d.state) },
                            { title: _("RAM"), number: true, cell: d => size(d.ram_kib) },
                            { title: _("Backing"), cell: backing },
                            { title: _("On huge pages"), cell: d => d.proof ? <Share percent={d.proof.backed_percent} /> : d.proof_unknown ? "?" : "–" },
                            { title: _("Nodes"), cell: d => Object.keys(d.proof?.by_node ?? {}).join(", ") || "–" },
                            { title: _("Freed by"), cell: d => d.given_back_by ? term(d.given_back_by) : "–" },
                        ]}
                    />
                )}
            </CardBody>
        </Card>
    );
}
