/** Tables that are lists of cards on a phone, and stay tables for who hears them. */

import { html, nothing, repeat } from '../../frame/ui.js';

/** What a cell says that has nothing to say. */
export const NONE = '–';

/**
 * A table. The roles are said outright, since a look without table boxes takes them away in some browsers.
 * @param {object} table
 * @param {string} table.caption what is in it, for all to read
 * @param {Array<{head: string, cell: (row: any) => any, row?: boolean, number?: boolean, act?: boolean}>} table.columns `row`: names the
 *   row; `act`: has buttons, at the right
 * @param {Array} table.rows what each cell is given
 * @param {(row: any) => string} table.key what names a row, so that it keeps its place in the page
 * @param {string} [table.none] what is said if there are no rows
 * @param {'few' | 'some' | 'many'} [table.width] how much room it needs: with less, each row is a card
 * @param {boolean} [table.quiet] whether the caption is for screen readers alone
 */
export function table({ caption, columns, rows, key, none, quiet, width = 'some' }) {
  if (rows.length === 0 && none) return html`<p class="dim">${none}</p>`;
  const kind = (column) => (column.number ? 'n' : column.act ? 'act' : nothing);
  const cell = (column, row) => {
    const value = column.cell(row);
    return column.row
      ? html`<th role="rowheader" scope="row" class=${kind(column)}>${value}</th>`
      : html`<td role="cell" class="${column.number ? 'n' : column.act ? 'act' : ''} ${value === NONE ? 'none' : ''}" data-head=${column.head}><span>${value}</span></td>`;
  };
  return html`<div class="hq-room"><table class="hq-table ${width}" role="table">
    <caption class=${quiet ? 'hidden' : nothing}>${caption}</caption>
    <thead role="rowgroup"><tr role="row">${columns.map((column) => html`
      <th role="columnheader" scope="col" class=${kind(column)}>${column.head}</th>`)}</tr></thead>
    <tbody role="rowgroup">${repeat(rows, key, (row) => html`<tr role="row">${columns.map((column) => cell(column, row))}</tr>`)}</tbody>
  </table></div>`;
}
