// The host: prepare and undo, and the hook.

import { Button, Card, CardBody, CardTitle, Checkbox, DescriptionList, Flex, Form, FormGroup, FormSelect, FormSelectOption, TextInput } from "./patternfly";
import { useEffect, useState } from "react";
import type { HookChanged, HookEvent, Left, Prepared, Status, Undone } from "./answers";
import { Confirm } from "./confirm";
import { Changes, Findings } from "./findings";
import { hookLog } from "./follow";
import { Name } from "./guests";
import { Term, hookWords } from "./overview";
import { Table } from "./table";
import { run } from "./vmhuge";
import { pageSizes, size, term, visible } from "./words";

const _ = cockpit.gettext;

interface Props { status: Status; admin: boolean; done: (sentence: string) => void; changed: () => void }
interface DialogProps { close: () => void; done: (sentence: string) => void; changed: () => void }

export function Host({ status, admin, done, changed }: Props) {
    const [open, setOpen] = useState<"undo" | "install" | "remove">();
    const close = () => setOpen(undefined);
    const rest = { close, changed, done: (sentence: string) => { close(); done(sentence) } };
    return (
        <div className="cards">
            <Prepare status={status} admin={admin} done={done} changed={changed} />
            <Card>
                <CardTitle component="h2">{_("Undo")}</CardTitle>
                <CardBody>
                    <p>{_("Reverts every change that prepare made to this host, except what somebody has changed since.")}</p>
                    <Button variant="secondary" isDisabled={!admin} onClick={() => setOpen("undo")}>{_("Undo…")}</Button>
                </CardBody>
            </Card>
            <Card>
                <CardTitle component="h2">{_("Hook")}</CardTitle>
                <CardBody>
                    <DescriptionList isHorizontal isCompact>
                        <Term name={_("State")}>{hookWords(status.hook)}</Term>
                        {status.hook.path && <Term name={_("File")}><code className="name">{visible(status.hook.path)}</code></Term>}
                    </DescriptionList>
                    <Findings list={status.hook.findings} />
                    <Flex role="group" aria-label={_("Hook")}>
                        {(!status.hook.ready || status.hook.outdated) && <Button variant="secondary" isDisabled={!admin} onClick={() => setOpen("install")}>{_("Install…")}</Button>}
                        {status.hook.installed && <Button variant="secondary" isDisabled={!admin} onClick={() => setOpen("remove")}>{_("Remove…")}</Button>}
                    </Flex>
                </CardBody>
            </Card>
            <Card>
                <CardTitle component="h2">{_("Hook calls")}</CardTitle>
                <CardBody><Events /></CardBody>
            </Card>
            {open === "undo" && <Undo {...rest} />}
            {open === "install" && <InstallHook {...rest} />}
            {open === "remove" && <RemoveHook {...rest} />}
        </div>
    );
}

function Prepare({ status, admin, done, changed }: Props) {
    const [pages, setPages] = useState("");
    const [page, setPage] = useState("");
    const [node, setNode] = useState("");
    const [persist, setPersist] = useState(false);
    const [restart, setRestart] = useState(false);
    const [guests, setGuests] = useState<string[]>([]);
    const [open, setOpen] = useState(false);
    const enabled = status.domains.filter(d => d.backing === "hugetlb" && d.state === "shut off");
    const chosen = enabled.filter(d => guests.includes(d.uuid));
    const command = ["prepare", ...(pages ? [`--pages=${pages}`, ...(page ? [`--size=${page}K`] : []), ...(node ? [`--node=${node}`] : [])] : []),
        ...(persist ? ["--persist"] : []), ...(restart ? ["--restart-libvirt"] : [])];
    const uuids = chosen.map(d => d.uuid);
    const sizes = pageSizes(status);
    const nodes = [...new Set(status.pools.map(p => p.node).filter(n => n >= 0))];
    const close = () => setOpen(false);
    return (
        <Card>
            <CardTitle component="h2">{_("Prepare")}</CardTitle>
            <CardBody>
                <p>{_("Sets the host up for huge pages: mounts, access, and the pages themselves.")}</p>
                <Form onSubmit={event => { event.preventDefault(); setOpen(true) }}>
                    <FormGroup label={_("Pages in the pool, at least")} fieldId="prepare-pages">
                        <TextInput id="prepare-pages" type="number" min={0} inputMode="numeric" value={pages} onChange={(_event, v) => setPages(v.replace(/\D/g, ""))} />
                    </FormGroup>
                    {pages && (
                        <>
                            <FormGroup label={_("Page size")} fieldId="prepare-size">
                                <FormSelect id="prepare-size" value={page} onChange={(_event, v) => setPage(v)}>
                                    <FormSelectOption value="" label={_("the kernel's default")} />
                                    {sizes.map(kib => <FormSelectOption key={kib} value={String(kib)} label={size(kib)} />)}
                                </FormSelect>
                            </FormGroup>
                            <FormGroup label={_("Node")} fieldId="prepare-node">
                                <FormSelect id="prepare-node" value={node} onChange={(_event, v) => setNode(v)}>
                                    <FormSelectOption value="" label={_("any")} />
                                    {nodes.map(n => <FormSelectOption key={n} value={String(n)} label={String(n)} />)}
                                </FormSelect>
                            </FormGroup>
                        </>
                    )}
                    {enabled.length > 0 && (
                        <FormGroup role="group" label={_("For these guests")} fieldId="prepare-guests">
                            {enabled.map(d => (
                                <Checkbox
                                    key={d.uuid} id={"prepare-" + d.uuid} label={<Name of={d.name} />} isChecked={guests.includes(d.uuid)}
                                    onChange={(_event, on) => setGuests(list => on ? [...list, d.uuid] : list.filter(u => u !== d.uuid))}
                                />
                            ))}
                        </FormGroup>
                    )}
                    <Checkbox id="prepare-persist" label={_("Also after a reboot")} isChecked={persist} onChange={(_event, on) => setPersist(on)} />
                    <Checkbox id="prepare-restart" label={_("Restart libvirt's daemon if it has to reread mounts")} isChecked={restart} onChange={(_event, on) => setRestart(on)} />
                    <div><Button type="submit" variant="secondary" isDisabled={!admin || !(pages || uuids.length)}>{_("Prepare…")}</Button></div>
                </Form>
                {open && (
                    <Confirm<Prepared, Prepared>
                        close={close} changed={changed} done={sentence => { close(); done(sentence) }}
                        action={{
                            title: _("Prepare this host"),
                            verb: _("Prepare"),
                            rehearse: () => run([...command, "--dry-run"], uuids),
                            plan: p => <PreparedPlan of={p} />,
                            perform: () => run(command, uuids),
                            refused: p => blocked(p).length > 0 && <><p role="alert">{_("The host is not ready yet.")}</p><Findings list={blocked(p)} /></>,
                            said: p => p.restart_needed ? _("The host is prepared; libvirt's daemon must be restarted to see the changes.") : _("The host is prepared."),
                        }}
                    />
                )}
            </CardBody>
        </Card>
    );
}

const allFindings = (p: Prepared) => [...p.host.findings, ...p.domains.flatMap(d => d.error
    ? [{ check: d.name, severity: "blocker" as const, have: d.error.why, need: "", do: d.error.do, fixable: false, changes: [] }]
    : d.findings)];
const blocked = (p: Prepared) => allFindings(p).filter(f => f.severity === "blocker");

function PreparedPlan({ of }: { of: Prepared }) {
    const findings = allFindings(of);
    const changes = [...of.host.changed, ...of.domains.flatMap(d => d.changed ?? []), ...findings.flatMap(f => f.changes)];
    return (
        <>
            <p>{changes.length ? _("This would change:") : _("There is nothing to change.")}</p>
            <Changes list={changes} />
            <Findings list={findings.filter(f => f.severity !== "note" && !f.fixable)} />
        </>
    );
}

const LeftAsIs = ({ list }: { list: Left[] }) => (
    <ul className="pf-v6-c-list">{list.map((l, i) => <li key={i}><code className="name">{visible(l.change.path)}</code>: {visible(l.reason)}</li>)}</ul>
);

const leftWords = (list: Left[] | undefined) => !!list?.length && <><p role="alert">{_("Not everything could be reverted:")}</p><LeftAsIs list={list} /></>;

function Undo(props: DialogProps) {
    return (
        <Confirm<Undone, Undone> {...props} action={{
            title: _("Undo what prepare changed"),
            verb: _("Undo"),
            rehearse: () => run(["undo", "--dry-run"]),
            plan: u => (
                <>
                    <p>{u.undone.length || u.given_back_kib ? _("This would be reverted:") : _("There is nothing to revert.")}</p>
                    {u.given_back_kib > 0 && <p>{cockpit.format(_("$0 of huge pages"), size(u.given_back_kib))}</p>}
                    <Changes list={u.undone} />
                    <LeftAsIs list={u.left} />
                </>
            ),
            perform: () => run(["undo"]),
            refused: u => leftWords(u.left),
            said: u => cockpit.format(_("The host is as it was; $0 of huge pages were freed."), size(u.given_back_kib)),
        }} />
    );
}

const HookPlan = ({ of }: { of: HookChanged }) => (
    <><p>{of.changes.length ? _("This would change:") : _("There is nothing to change.")}</p><Changes list={of.changes} /></>
);

function InstallHook(props: DialogProps) {
    const [drop, setDrop] = useState(false);
    const command = ["hook", "install", "--reload", ...(drop ? ["--drop-if-short"] : [])];
    return (
        <Confirm<HookChanged, HookChanged> {...props} action={{
            title: _("Install the hook"),
            verb: _("Install"),
            options: <Checkbox id="drop" label={_("Restore saved guests without huge pages if there are too few")} isChecked={drop} onChange={(_event, on) => setDrop(on)} />,
            chosen: command.join(" "),
            rehearse: () => run([...command, "--dry-run"]),
            plan: h => <><HookPlan of={h} />{h.reload_needed && <p>{_("libvirt's daemon is then reloaded to look for hooks; guests keep running.")}</p>}</>,
            perform: () => run(command),
            said: () => _("The hook is installed."),
        }} />
    );
}

function RemoveHook(props: DialogProps) {
    return (
        <Confirm<HookChanged, HookChanged> {...props} action={{
            title: _("Remove the hook"),
            verb: _("Remove"),
            danger: true,
            rehearse: () => run(["hook", "remove", "--dry-run"]),
            plan: h => <HookPlan of={h} />,
            perform: () => run(["hook", "remove"]),
            refused: h => leftWords(h.left),
            said: () => _("The hook is removed."),
        }} />
    );
}

/** The last calls, as the hook's log has them, followed while it grows. */
function Events() {
    const [events, setEvents] = useState<HookEvent[]>([]);
    useEffect(() => {
        const file = cockpit.file(hookLog, { superuser: "try", max_read_size: 2 ** 20 });
        file.watch(content => setEvents((content ?? "").split("\n").slice(-21).reverse().flatMap(parse)));
        return () => file.close();
    }, []);
    if (events.length === 0)
        return <p>{_("It has not been called since the host booted.")}</p>;
    return (
        <Table
            label={_("Hook calls")} rows={events.map((e, i) => ({ ...e, id: `${e.time} ${i}` }))} id={e => e.id}
            columns={[
                { title: _("Time"), cell: e => new Date(e.time).toLocaleString(cockpit.language.replace("_", "-")) },
                { title: _("Guest"), cell: e => <Name of={e.name} /> },
                { title: _("Operation"), cell: e => visible(e.operation) },
                { title: _("Result"), cell: e => <>{term(e.result)}{e.why && <div className="name">{visible(e.why)}</div>}</> },
            ]}
        />
    );
}

/** A line of the log; none if it is cut or foreign. */
function parse(line: string): HookEvent[] {
    try {
        const event = JSON.parse(line);
        return typeof event?.name === "string" ? [event] : [];
    } catch {
        return [];
    }
}
