// The frame of the page: where the user is, what is known of the host, and what was just done.

import { Alert, AlertActionCloseButton, AlertGroup, EmptyState, EmptyStateBody, Nav, NavItem, NavList, Page, PageSection, Spinner, Title } from "./patternfly";
import { useEffect, useRef, useState } from "react";
import type { Status } from "./answers";
import { Explain } from "./explain";
import { Failed } from "./findings";
import { follow } from "./follow";
import { Guest } from "./guest";
import { Guests } from "./guests";
import { Host } from "./host";
import { Overview } from "./overview";
import type { Failure } from "./vmhuge";
import { pageSizes } from "./words";

const _ = cockpit.gettext;

const places: [string, string][] = [["", _("Overview")], ["guests", _("Guests")], ["host", _("Host")], ["explain", _("Explain")]];

function usePath(): string[] {
    const [path, setPath] = useState(cockpit.location.path);
    useEffect(() => {
        const moved = () => setPath(cockpit.location.path);
        cockpit.addEventListener("locationchanged", moved);
        return () => cockpit.removeEventListener("locationchanged", moved);
    }, []);
    return path;
}

/** Whether the user may change the host; null while that is not known. */
function useAdmin(changed: () => void): boolean | null {
    const [admin, setAdmin] = useState<boolean | null>(null);
    useEffect(() => {
        const permission = cockpit.permission({ admin: true });
        const read = () => setAdmin(permission.allowed);
        read();
        permission.addEventListener("changed", () => { read(); changed() });
        return () => permission.close();
    }, []);
    return admin;
}

export function App() {
    const [place = "", uuid] = usePath();
    const [status, setStatus] = useState<Status>();
    const [failure, setFailure] = useState<Failure>();
    const [changes, setChanges] = useState(0); // of the host, counted
    const [said, setSaid] = useState<{ id: number; sentence: string }[]>([]);
    const heading = useRef<HTMLHeadingElement>(null);
    const first = useRef(true);

    const changed = () => setChanges(n => n + 1);
    const admin = useAdmin(changed);
    useEffect(() => follow( // anew, with the rights that there are now
        seen => {
            setStatus(seen);
            setFailure(undefined);
            if (seen.changed?.some(field => field !== "domains")) // a guest that changed is seen by itself
                changed();
        },
        setFailure), [admin === true]);
    const done = (sentence: string) => setSaid(list => [...list.slice(-2), { id: Date.now(), sentence }]);

    useEffect(() => { // a screen reader follows the user to another place
        if (!first.current)
            heading.current?.focus();
        first.current = false;
    }, [place, uuid]);

    const guest = status?.domains.find(d => d.uuid === uuid);
    const title = places.find(([id]) => id === place)?.[1] ?? _("Overview");
    useEffect(() => { document.title = `${title} – ${_("Huge pages")}` }, [title]);

    const content = () => {
        if (failure?.missing)
            return <EmptyState titleText={failure.trouble.why} headingLevel="h2"><EmptyStateBody>{failure.trouble.do}</EmptyStateBody></EmptyState>;
        if (!status)
            return failure ? <Failed failure={failure} /> : <EmptyState titleText={_("Looking at the host…")} headingLevel="h2" icon={Spinner} />;
        switch (place) {
        case "guests":
            if (guest)
                return <Guest key={guest.uuid} guest={guest} sizes={pageSizes(status)} admin={!!admin} changes={changes} done={done} changed={changed} />;
            return <>{uuid && <Alert isInline variant="warning" title={_("This guest is gone.")} />}<Guests status={status} /></>;
        case "host":
            return <Host status={status} admin={!!admin} done={done} changed={changed} />;
        case "explain":
            return <Explain />;
        }
        return <Overview status={status} changes={changes} />;
    };

    return (
        <Page className="pf-m-no-sidebar">
            <PageSection>
                <Title headingLevel="h1" size="xl" ref={heading} tabIndex={-1}>{_("Huge pages")}{place && `: ${title}`}</Title>
                <Nav variant="horizontal-subnav" aria-label={_("Huge pages")}>
                    <NavList>
                        {places.map(([id, label]) => <NavItem key={id} itemId={id} to={`#/${id}`} isActive={id === place}>{label}</NavItem>)}
                    </NavList>
                </Nav>
            </PageSection>
            <PageSection aria-label={title} isFilled>
                {admin === false && (
                    <Alert isInline variant="info" title={_("Administrative access is needed")}>
                        <p>{_("Without it the page shows what every user may see, and changes nothing. Turn it on at the top of Cockpit.")}</p>
                    </Alert>
                )}
                <AlertGroup isLiveRegion>
                    {said.map(({ id, sentence }) => (
                        <Alert
                            key={id} isInline variant="success" title={sentence}
                            actionClose={<AlertActionCloseButton title={_("Close")} onClose={() => setSaid(list => list.filter(s => s.id !== id))} />}
                        />
                    ))}
                </AlertGroup>
                {status && failure && !failure.missing && <Failed failure={failure} />}
                {content()}
            </PageSection>
        </Page>
    );
}
