// The status of the host, read anew when something changes.

import type { Status } from "./answers";
import { Failure, run } from "./vmhuge";

const least = 2000; // milliseconds between the beginnings of two readings
const rest = 5000; // between two without a sign of change

export interface Following { refresh(): void; stop(): void }

export function follow(seen: (status: Status) => void, failed: (failure: Failure) => void): Following {
    let begun = -Infinity, reading = false, stopped = false, timer = 0;

    const plan = (after: number) => {
        clearTimeout(timer);
        if (!stopped && !cockpit.hidden)
            timer = window.setTimeout(read, Math.max(after, begun + least - performance.now()));
    };
    const read = async () => {
        if (reading)
            return;
        reading = true;
        begun = performance.now();
        try {
            const status = await run<Status>(["status"]);
            if (!stopped)
                seen(status);
        } catch (err) {
            if (!stopped)
                failed(err as Failure);
        }
        reading = false;
        plan(rest);
    };
    const visibility = () => cockpit.hidden ? clearTimeout(timer) : plan(0);

    const log = cockpit.file(hookLog, { superuser: "try" });
    const watch = log.watch(() => plan(0)); // calls back at once, and at each change
    cockpit.addEventListener("visibilitychange", visibility);
    return {
        refresh: () => plan(0),
        stop() {
            stopped = true;
            clearTimeout(timer);
            watch.remove();
            log.close();
            cockpit.removeEventListener("visibilitychange", visibility);
        },
    };
}

/** Where the hook writes what it was called for, a line of JSON each. */
export const hookLog = "/run/vmhuge/hook.log";
