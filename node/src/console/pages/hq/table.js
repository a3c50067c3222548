/** Tables that are lists of cards on a phone, and stay tables for who hears them. */

import { html, nothing, repeat } from '../../frame/ui.js';

/**
 * A table. The roles are said outright, since a look without table boxes takes them away in some browsers.
 * @param {object} table
 * @param {string} table.caption what is in it, for all to read
 * @param {Array<{head: string, cell: (row: any) => any, row?: boolean, number?: boolean}>} table.columns `row`: names the row
 * @param {Array} table.rows what each cell is given
 * @param {(row: any) => string} table.key what names a row, so that it keeps its place in the page
 * @param {any} [table.foot] rows below
 * @param {string} [table.none] what is said if there are no rows
 * @param {boolean} [table.quiet] whether the caption is for screen readers alone
 */
export function table({ caption, columns, rows, key, foot, none, quiet }) {
  if (rows.length === 0 && none) return html`<p class="dim">${none}</p>`;
  const kind = (column) => (column.number ? 'n' : nothing);
  const cell = (column, row) => (column.row
    ? html`<th role="rowheader" scope="row" class=${kind(column)} data-head=${column.head}>${column.cell(row)}</th>`
    : html`<td role="cell" class=${kind(column)} data-head=${column.head}>${column.cell(row)}</td>`);
  return html`<table class="hq-table" role="table">
    <caption class=${quiet ? 'hidden' : nothing}>${caption}</caption>
    <thead role="rowgroup"><tr role="row">${columns.map((column) => html`
      <th role="columnheader" scope="col" class=${kind(column)}>${column.head}</th>`)}</tr></thead>
    <tbody role="rowgroup">${repeat(rows, key, (row) => html`<tr role="row">${columns.map((column) => cell(column, row))}</tr>`)}</tbody>
    ${foot ?? nothing}
  </table>`;
}
