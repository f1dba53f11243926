// Runs vmhuge. What it is told is a list of words and never a line for a shell; guests are
// named by UUID, after --, so that no name can be taken for a flag, a pattern or another
// guest's number.

import type { Change, Trouble } from "./answers";

const _ = cockpit.gettext;

/** What failed, why, and what to do about it. */
export class Failure extends Error {
    /** changed: what was done before it. */
    constructor(readonly trouble: Trouble, readonly missing = false, readonly changed: Change[] = []) {
        super(trouble.why);
    }
}

interface Halfway { changed?: Change[]; undone?: Change[]; host?: Halfway; domains?: Halfway[] }

const changesOf = ({ changed = [], undone = [], host, domains = [] }: Halfway): Change[] =>
    [...changed, ...undone.map(c => ({ ...c, from: c.to, to: c.from })), ...host ? changesOf(host) : [], ...domains.flatMap(changesOf)];

export const vmhuge = (command: string[], uuids: string[] = []): string[] =>
    ["vmhuge", "--connect", "qemu:///system", "--json", ...command, ...(uuids.length ? ["--", ...uuids] : [])];

export const spawn = (argv: string[]): cockpit.Process =>
    cockpit.spawn(argv, { superuser: "try", err: "message", environ: ["LC_ALL=C.UTF-8"] });

export function failureOf(problem: cockpit.Problem): Failure {
    const what = _("Running vmhuge");
    switch (problem.problem) {
    case "not-found":
        return new Failure({ what, why: _("vmhuge is not installed on this host."), do: _("Install the package vmhuge.") }, true);
    case "access-denied":
        return new Failure({ what, why: _("Access denied."), do: _("Turn on administrative access.") });
    }
    return new Failure({ what, why: problem.message, do: "" });
}

/**
 * Runs a command and returns its answer, also that of an exit status other than 0: the answer
 * then says what is not ready. Throws a Failure if there is none, or if it is an error.
 */
export function run<T>(command: string[], uuids: string[] = [], input?: string): Promise<T> {
    return new Promise((resolve, reject) => {
        let text = "";
        const ended = (problem?: cockpit.Problem) => {
            let answer;
            try {
                answer = JSON.parse(text);
            } catch {
                reject(failureOf(problem ?? { problem: null, exit_status: 0, message: _("It gave no answer.") }));
                return;
            }
            if (answer.error)
                reject(new Failure(answer.error, false, changesOf(answer)));
            else
                resolve(answer);
        };
        const process = spawn(vmhuge(command, uuids));
        process.stream(chunk => { text += chunk });
        process.then(() => ended(), ended);
        if (input !== undefined)
            process.input(input);
    });
}

/** Runs a command for one guest and returns what it says of it. */
export async function runFor<T>(command: string[], uuid: string): Promise<T> {
    const { domains: [answer] } = await run<{ domains: (T & { error?: Trouble })[] }>(command, [uuid]);
    if (!answer)
        throw new Failure({ what: command[0] ?? "", why: _("It gave no answer."), do: "" });
    if (answer.error)
        throw new Failure(answer.error);
    return answer;
}
