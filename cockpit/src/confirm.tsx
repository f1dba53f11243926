// The dialog before every change: it shows what would be done, does it, and stays if it failed.

import { Button, Modal, ModalBody, ModalFooter, ModalHeader, Spinner } from "./patternfly";
import { type ReactNode, useEffect, useState } from "react";
import { Failed } from "./findings";
import { type Failure } from "./vmhuge";

const _ = cockpit.gettext;

export interface Action<Plan, Answer> {
    title: string;
    verb: string; // on the button that does it
    danger?: boolean;
    options?: ReactNode; // to choose from before
    chosen?: string; // changes with the options: what would be done is then asked anew
    rehearse: () => Promise<Plan>; // changes nothing
    plan: (plan: Plan) => ReactNode;
    perform: () => Promise<Answer>;
    refused?: (answer: Answer) => ReactNode; // why it was not done, or not wholly; nothing if it was
    said: (answer: Answer) => string; // the sentence for what was done
}

interface Props<Plan, Answer> { action: Action<Plan, Answer>; close: () => void; done: (sentence: string) => void; changed: () => void }

export function Confirm<Plan, Answer>({ action, close, done, changed }: Props<Plan, Answer>) {
    const [plan, setPlan] = useState<{ of: Plan; chosen?: string }>();
    const [failure, setFailure] = useState<Failure>();
    const [refusal, setRefusal] = useState<ReactNode>();
    const [busy, setBusy] = useState(false);
    const { chosen } = action;

    useEffect(() => {
        let gone = false;
        setFailure(undefined);
        setRefusal(undefined);
        action.rehearse().then(
            of => { if (!gone) setPlan({ of, chosen }) },
            (err: Failure) => { if (!gone) { setPlan(undefined); setFailure(err) } });
        return () => { gone = true };
    }, [chosen]);

    const perform = async () => {
        setBusy(true);
        setFailure(undefined);
        setRefusal(undefined);
        try {
            const answer = await action.perform();
            const why = action.refused?.(answer);
            if (why)
                setRefusal(why);
            else
                done(action.said(answer));
        } catch (err) {
            setFailure(err as Failure);
        }
        setBusy(false);
        changed();
    };

    const known = plan && plan.chosen === chosen;
    return (
        <Modal isOpen variant="medium" aria-labelledby="confirm-title" aria-describedby="confirm-plan" onClose={() => { if (!busy) close() }}>
            <ModalHeader title={action.title} labelId="confirm-title" />
            <ModalBody id="confirm-plan" tabIndex={0}>
                {action.options}
                <div aria-live="polite" aria-busy={busy}>
                    {failure ? <Failed failure={failure} /> : refusal ?? (known ? action.plan(plan.of) : <p>{_("Checking what would be done…")}</p>)}
                    {busy && <p><Spinner size="md" aria-hidden="true" /> {_("This may take a while…")}</p>}
                </div>
            </ModalBody>
            <ModalFooter>
                <Button variant={action.danger ? "danger" : "primary"} isDisabled={busy || !known} onClick={perform}>{action.verb}</Button>
                <Button variant="link" isDisabled={busy} onClick={close}>{refusal || failure ? _("Close") : _("Cancel")}</Button>
            </ModalFooter>
        </Modal>
    );
}
