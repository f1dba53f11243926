// What the page calls of Cockpit's base1/cockpit.js, which index.html loads.

declare namespace cockpit {
    interface Problem {
        problem: string | null; // "not-found", "access-denied", "terminated"…
        message: string;
        exit_status: number | null;
    }

    interface Process {
        stream(callback: (text: string) => void): this;
        input(text: string): this;
        close(problem?: string): void;
        then(done: () => void, failed: (problem: Problem) => void): void;
    }

    interface SpawnOptions {
        superuser?: "try" | "require";
        err?: "out" | "ignore" | "message";
        environ?: string[];
    }

    function spawn(argv: string[], options: SpawnOptions): Process;

    interface Permission {
        allowed: boolean | null; // null: not known yet
        addEventListener(event: "changed", callback: () => void): void;
        close(): void;
    }

    function permission(options: { admin: boolean }): Permission;

    interface FileHandle {
        watch(callback: (content: string | null) => void): { remove(): void };
        close(): void;
    }

    function file(path: string, options?: { superuser?: "try"; max_read_size?: number }): FileHandle;

    const location: { path: string[]; go(path: string[]): void };
    const hidden: boolean;
    const language: string;
    function addEventListener(event: "locationchanged" | "visibilitychange", callback: () => void): void;
    function removeEventListener(event: "locationchanged" | "visibilitychange", callback: () => void): void;

    function gettext(text: string): string;
    function ngettext(one: string, many: string, n: number): string;
    function format(text: string, ...values: (string | number)[]): string;
}
