// The answers of vmhuge --json, as far as the page shows them. docs/schema describes them.

export interface Trouble { what: string; why: string; do: string }

export interface Change { kind: string; path: string; from: string; to: string }

export interface Finding {
    check: string;
    severity: "blocker" | "warning" | "note" | "ok";
    have: string;
    need: string;
    do: string;
    fixable: boolean;
    changes: Change[];
}

export interface Fact extends Finding { name: string; value: string }

export interface Pool {
    node: number; // -1: the sum over the nodes
    page_size_kib: number;
    total: number; // this and what follows: pages
    free: number; // with what is reserved
    reserved: number;
    held_by_us: number;
    could_make?: number;
}

export interface Proof {
    ram_kib: number;
    hugetlb_kib: Record<string, number>; // by page size in KiB
    thp_kib: number;
    small_kib: number;
    untouched_kib: number; // of small_kib
    by_node: Record<string, number>;
    backed_percent: number;
    verdict: "all-huge" | "partly" | "none";
    evidence: string[];
    preallocated: boolean;
    aligned: boolean;
}

export interface Total { page_size_kib: number; pages: number; memory_kib: number }

export interface Domain { name: string; uuid: string; state: string }

export interface DomainStatus extends Domain {
    ram_kib: number;
    backing: "hugetlb" | "thp" | "none";
    totals: Total[];
    proof?: Proof;
    proof_unknown?: string;
    given_back_by?: string;
    cautions?: string[];
}

export interface HookEvent { time: string; operation: string; name: string; uuid: string; result: string; why?: string }

export interface Hook {
    installed: boolean;
    ready: boolean;
    path?: string;
    outdated: boolean;
    reload_needed: boolean;
    settings: { drop_if_short?: boolean; host_reserve_kib?: number };
    findings: Finding[];
}

export interface Reservation { for: string; page_size_kib: number; pages: number; held_back: number }

export interface Status {
    pools: Pool[];
    mounts: { point: string; page_size_kib: number }[];
    domains: DomainStatus[];
    hook: Hook;
    thp: { enabled: string };
    reservations?: Reservation[];
    notes?: Fact[];
    set_aside?: string[];
    left_behind?: { name: string; bytes: number }[];
    domains_error?: Trouble;
    changed?: string[]; // the fields that differ from the line before
}

export interface Report extends Domain {
    backing: DomainStatus["backing"];
    verdict: string;
    ready: boolean;
    fixable: boolean;
    totals: Total[];
    findings: Finding[];
    changed: Change[];
    proof?: Proof;
}

export interface Edit extends Domain { done: boolean; diff: string; warnings: string[]; findings: Finding[] }

export interface Stopped extends Domain { done: boolean; given_back_kib: number; owed_kib: number; kept_kib: number }

export interface Collapsed extends Domain {
    ram_kib: number;
    percent: number;
    at_least_percent: number;
    reached: boolean;
    try_kib: number;
    before: { huge_kib: number; small_kib: number };
    after: { huge_kib: number; small_kib: number };
    left: { reason: string; kib: number }[];
}

export interface Check { host?: Fact[]; verdict?: string }

export interface Prepared {
    host: { findings: Finding[]; changed: Change[] };
    domains: (Report & { error?: Trouble })[];
    restarted: string;
    restart_needed: boolean;
}

export interface Left { change: Change; reason: string }

export interface Undone { undone: Change[]; left: Left[]; given_back_kib: number; owed_kib: number }

export interface HookChanged { changed: Change[]; changes: Change[]; reload_needed?: boolean; left?: Left[] }

export interface Explained {
    domain: string;
    known: boolean;
    causes: { id: string; domain: string; text: string; cause: string; seen: boolean; evidence: Finding[]; do: string }[];
}
