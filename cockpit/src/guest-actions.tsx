// The dialogs of what can be done with a guest.

import { Checkbox, Form, FormGroup, FormSelect, FormSelectOption } from "./patternfly";
import { useState } from "react";
import type { Collapsed, DomainStatus, Edit, Report, Stopped } from "./answers";
import { Confirm } from "./confirm";
import { Changes, Findings, Text } from "./findings";
import { runFor } from "./vmhuge";
import { named, percentWords, size, term, totals, visible } from "./words";

const _ = cockpit.gettext;

// sizes are the host's page sizes, in KiB.
interface Props { guest: DomainStatus; sizes: number[]; close: () => void; done: (sentence: string) => void; changed: () => void }

const about = (text: string, guest: DomainStatus, ...more: string[]) => cockpit.format(text, named(guest.name), ...more);

function Diff({ edit: { diff, warnings, findings } }: { edit: Edit }) {
    return (
        <>
            <p>{diff ? _("Its definition changes; a running guest keeps what it has until its next start.") : _("Its definition stays as it is.")}</p>
            {diff && <Text of={diff} label={_("The change to the definition")} diff />}
            {warnings.map((w, i) => <p key={i}>{visible(w)}</p>)}
            {findings.length > 0 && <><h2>{_("What the host lacks for it")}</h2><Findings list={findings} /></>}
        </>
    );
}

export function Enable({ guest, sizes, ...rest }: Props) {
    const [pages, setPages] = useState("");
    const [round, setRound] = useState(false);
    const command = ["enable", ...(pages ? [pages] : []), ...(round && pages !== "--thp" ? ["--round"] : [])];
    return (
        <Confirm<Edit, Edit> {...rest} action={{
            title: about(_("Put $0 on huge pages"), guest),
            verb: _("Change its definition"),
            options: (
                <Form>
                    <FormGroup label={_("Pages")} fieldId="pages">
                        <FormSelect id="pages" value={pages} onChange={(_event, value) => setPages(value)}>
                            <FormSelectOption value="" label={_("reserved, of the usual size")} />
                            {sizes.map(kib => <FormSelectOption key={kib} value={`--size=${kib}K`} label={cockpit.format(_("reserved, of $0"), size(kib))} />)}
                            <FormSelectOption value="--size=auto" label={_("reserved, of the size that fits it")} />
                            <FormSelectOption value="--thp" label={_("transparent")} />
                        </FormSelect>
                    </FormGroup>
                    <Checkbox id="round" label={_("Raise its memory to a whole number of pages")} isChecked={round} onChange={(_event, on) => setRound(on)} />
                </Form>
            ),
            chosen: command.join(" "),
            rehearse: () => runFor([...command, "--dry-run"], guest.uuid),
            plan: edit => <Diff edit={edit} />,
            perform: () => runFor(command, guest.uuid),
            said: () => about(_("$0 is on huge pages from its next start on."), guest),
        }} />
    );
}

export function Disable({ guest, ...rest }: Props) {
    return (
        <Confirm<Edit, Edit> {...rest} action={{
            title: about(_("Take $0 off huge pages"), guest),
            verb: _("Change its definition"),
            rehearse: () => runFor(["disable", "--dry-run"], guest.uuid),
            plan: edit => <Diff edit={edit} />,
            perform: () => runFor(["disable"], guest.uuid),
            said: () => about(_("$0 is off huge pages from its next start on."), guest),
        }} />
    );
}

export function Start({ guest, ...rest }: Props) {
    const started = (r: Report) => r.verdict === "running" || !!r.proof;
    return (
        <Confirm<Report, Report> {...rest} action={{
            title: about(_("Start $0"), guest),
            verb: _("Start"),
            rehearse: () => runFor(["start", "--dry-run"], guest.uuid),
            plan: r => (
                <>
                    <p>
                        {r.ready || r.fixable
                            ? r.totals.length > 0 ? cockpit.format(_("It takes $0."), totals(r.totals)) : _("It takes no pages from the pools.")
                            : cockpit.format(_("It can't start: $0."), term(r.verdict))}
                    </p>
                    {r.changed.length > 0 && <><h2>{_("Changes to the host before that")}</h2><Changes list={r.changed} /></>}
                    <Findings list={r.findings} />
                </>
            ),
            perform: () => runFor(["start"], guest.uuid),
            refused: r => started(r) ? null : <><p role="alert">{about(_("$0 was not started: $1."), guest, term(r.verdict))}</p><Findings list={r.findings} /></>,
            said: r => r.proof && r.backing !== "none"
                ? about(_("$0 runs; $1 of its RAM is on huge pages."), guest, percentWords(r.proof.backed_percent))
                : about(_("$0 runs."), guest),
        }} />
    );
}

export function Stop({ guest, ...rest }: Props) {
    const [force, setForce] = useState(false);
    return (
        <Confirm<null, Stopped> {...rest} action={{
            title: about(_("Stop $0"), guest),
            verb: _("Stop"),
            danger: true,
            options: <Checkbox id="force" label={_("If it does not shut down within 60 seconds, turn it off")} isChecked={force} onChange={(_event, on) => setForce(on)} />,
            rehearse: async () => null,
            plan: () => <p>{_("It is asked to shut down. The pages that vmhuge added for it are then freed.")}</p>,
            perform: () => runFor(force ? ["stop", "--force"] : ["stop"], guest.uuid),
            said: s => s.kept_kib
                ? about(_("$0 is shut off; $1 of huge pages stay for its next start."), guest, size(s.kept_kib))
                : s.owed_kib
                    ? about(_("$0 is shut off; $1 of huge pages are freed once another program no longer uses them."), guest, size(s.owed_kib))
                    : about(_("$0 is shut off; $1 of huge pages were freed."), guest, size(s.given_back_kib)),
        }} />
    );
}

export function Collapse({ guest, ...rest }: Props) {
    const Left = ({ of }: { of: Collapsed }) => (
        <ul className="pf-v6-c-list">{of.left.map(l => <li key={l.reason}>{cockpit.format(_("$0 stays on small pages: $1"), size(l.kib), term(l.reason))}</li>)}</ul>
    );
    return (
        <Confirm<Collapsed, Collapsed> {...rest} action={{
            title: about(_("Collapse the RAM of $0"), guest),
            verb: _("Collapse"),
            rehearse: () => runFor(["collapse", "--dry-run"], guest.uuid),
            plan: c => (
                <>
                    <p>{cockpit.format(_("The kernel moves the RAM of the running guest to transparent huge pages: $0 can be tried, at most $1 are then on huge pages."), size(c.try_kib), percentWords(c.percent))}</p>
                    <Left of={c} />
                </>
            ),
            perform: () => runFor(["collapse"], guest.uuid),
            refused: c => c.reached ? null : <><p role="alert">{cockpit.format(_("$0 of its RAM is on huge pages, and $1 were asked for."), percentWords(c.percent), percentWords(c.at_least_percent))}</p><Left of={c} /></>,
            said: c => about(_("$0: $1 of its RAM is on huge pages."), guest, percentWords(c.percent)),
        }} />
    );
}
