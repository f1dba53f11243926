// The status of the host as it changes, by vmhuge status --watch: a line for each change.

import type { Status, Trouble } from "./answers";
import { Failure, failureOf, spawn, vmhuge } from "./vmhuge";

const again = 5000; // milliseconds until it is tried once more, where it ended

/** Follows the host while the page can be seen. Returns what ends that. */
export function follow(seen: (status: Status) => void, failed: (failure: Failure) => void): () => void {
    let process: cockpit.Process | undefined;
    let timer = 0;

    const begin = () => {
        clearTimeout(timer);
        if (process || cockpit.hidden)
            return;
        const watch = process = spawn(vmhuge(["status", "--watch"]));
        let rest = "";
        let trouble: Trouble | undefined;
        watch.stream(chunk => {
            const lines = (rest + chunk).split("\n");
            rest = lines.pop() ?? "";
            for (const line of lines) {
                const answer: Status & { error?: Trouble } = JSON.parse(line);
                if (answer.error)
                    trouble = answer.error;
                else if (process === watch)
                    seen(answer);
            }
        });
        const ended = (problem: cockpit.Problem) => {
            if (process !== watch) // end stopped it
                return;
            process = undefined;
            failed(trouble ? new Failure(trouble) : failureOf(problem));
            timer = window.setTimeout(begin, again);
        };
        watch.then(() => ended({ problem: null, exit_status: 0, message: "" }), ended);
    };
    const end = () => {
        clearTimeout(timer);
        const watch = process;
        process = undefined;
        watch?.close("terminated");
    };
    const visibility = () => cockpit.hidden ? end() : begin();

    cockpit.addEventListener("visibilitychange", visibility);
    begin();
    return () => {
        cockpit.removeEventListener("visibilitychange", visibility);
        end();
    };
}

/** Where the hook writes what it was called for, a line of JSON each. */
export const hookLog = "/run/vmhuge/hook.log";
