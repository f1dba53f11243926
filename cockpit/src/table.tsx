// A table that becomes a list of its rows' cells where it is narrow.

import type { ReactNode } from "react";

export interface Column<Row> { title: string; number?: boolean; cell: (row: Row) => ReactNode }

export function Table<Row>({ label, columns, rows, id }: { label: string; columns: Column<Row>[]; rows: Row[]; id: (row: Row) => string }) {
    // The roles are said, as the narrow form is no table to a browser.
    return (
        <table className="pf-v6-c-table pf-m-grid-md pf-m-compact" role="table" aria-label={label}>
            <thead className="pf-v6-c-table__thead" role="rowgroup">
                <tr className="pf-v6-c-table__tr" role="row">
                    {columns.map(c => <th key={c.title} className={"pf-v6-c-table__th" + (c.number ? " number" : "")} scope="col" role="columnheader">{c.title}</th>)}
                </tr>
            </thead>
            <tbody className="pf-v6-c-table__tbody" role="rowgroup">
                {rows.map(row => (
                    <tr key={id(row)} className="pf-v6-c-table__tr" role="row">
                        {columns.map(c => <td key={c.title} className={"pf-v6-c-table__td" + (c.number ? " number" : "")} role="cell" data-label={c.title}>{c.cell(row)}</td>)}
                    </tr>
                ))}
            </tbody>
        </table>
    );
}
