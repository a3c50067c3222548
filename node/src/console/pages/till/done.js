/** After the sale: the change to give, the code to show, the receipt; and on to the next. */

import { html, nothing } from '../../frame/ui.js';
import { money, t } from '../../frame/text.js';
import { linesOf } from './basket.js';
import { showCode, showReceipt, undo } from './later.js';
import { pieces } from './pay.js';

/** What goes back to the shopper, minor units. */
export const changeOf = (claim) => (claim.payments ?? []).reduce((all, one) => all + (one.change ?? 0), 0);

/** What the panel shows after a sale. */
export function view(till) {
  const claim = till.sold;
  const change = changeOf(claim);
  const pickup = claim.state === 'issued';
  const given = (claim.payments ?? []).find((one) => one.given !== undefined && one.given !== null)?.given;
  return html`
    ${change > 0 ? html`<div class="change"><span>${t('till.give')}</span><strong data-change=${change}>${money(change)}</strong>
        <span class="small">${pieces(till, change)}</span>
        ${given ? html`<span class="small">${t('till.of_given', { given: money(given) })}</span>` : nothing}</div>`
      : html`<div class="change"><span>${t('till.paid')}</span><strong data-change="0">${money(claim.total)}</strong><span class="small">${t('till.no_change')}</span></div>`}
    <div class="note good"><b>${pickup ? t('till.sold_pickup', { name: till.deviceName(claim.custodian) }) : t('till.sold_now')}</b>
      <ul class="plain">${linesOf(claim.items).map((line) => html`<li>${t('till.sold_line', { quantity: line.quantity, name: till.nameOf(line.sku), serials: line.serials.join(', ') })}</li>`)}</ul>
      ${claim.receipt ? html`<p class="small">${t('till.receipt_number', { number: claim.receipt })}</p>` : nothing}
    </div>
    <div class="row">
      ${pickup ? html`<button @click=${() => showCode(till, claim)}>${t('till.show_code')}</button>` : nothing}
      ${claim.receipt ? html`<button @click=${() => showReceipt(till, claim.seller, claim.receipt)}>${t('till.receipt')}</button>` : nothing}
      <button class="danger" @click=${() => undo(till)}>${t('till.undo')}</button>
    </div>`;
}
