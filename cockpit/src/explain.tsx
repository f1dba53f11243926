// Paste what libvirt or QEMU said, get the cause and the cure.

import { Alert, Button, Card, CardBody, CardTitle, Form, FormGroup, Label, TextArea } from "./patternfly";
import { useState } from "react";
import type { Explained } from "./answers";
import { Failed, Findings } from "./findings";
import { type Failure, run } from "./vmhuge";
import { visible } from "./words";

const _ = cockpit.gettext;

export function Explain() {
    const [text, setText] = useState("");
    const [busy, setBusy] = useState(false);
    const [answer, setAnswer] = useState<Explained>();
    const [failure, setFailure] = useState<Failure>();
    const explain = async () => {
        setBusy(true);
        setAnswer(undefined);
        setFailure(undefined);
        try {
            setAnswer(await run<Explained>(["explain", "-"], [], text));
        } catch (err) {
            setFailure(err as Failure);
        }
        setBusy(false);
    };
    return (
        <Card>
            <CardTitle component="h2">{_("Explain an error")}</CardTitle>
            <CardBody>
                <Form onSubmit={event => { event.preventDefault(); void explain() }}>
                    <FormGroup label={_("What libvirt or QEMU said")} fieldId="said">
                        <TextArea id="said" value={text} onChange={(_event, value) => setText(value)} rows={6} resizeOrientation="vertical" spellCheck={false} />
                    </FormGroup>
                    <div><Button type="submit" isDisabled={busy || !text.trim()}>{_("Explain")}</Button></div>
                </Form>
                <div aria-live="polite" aria-busy={busy}>
                    {failure && <Failed failure={failure} />}
                    {answer && !answer.known && <p>{_("vmhuge does not know this message.")}</p>}
                    {answer?.causes.map(c => (
                        <section key={[c.domain, c.id, c.text].join("\n")} aria-label={visible(c.id)}>
                            <h3><strong>{visible(c.id)}</strong>{" "}{c.seen && <Label isCompact color="red">{_("the case on this host now")}</Label>}</h3>
                            <p>{c.domain && <strong>{visible(c.domain)}{": "}</strong>}<q className="name">{visible(c.text)}</q></p>
                            <p>{visible(c.cause)}</p>
                            {c.do && <Alert isInline isPlain variant="info" title={_("What to do:") + " " + visible(c.do)} />}
                            <Findings list={c.evidence} />
                        </section>
                    ))}
                </div>
            </CardBody>
        </Card>
    );
}
