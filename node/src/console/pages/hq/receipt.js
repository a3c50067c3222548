/** One receipt, as it was printed. */

import { money, number, t, time } from '../../frame/text.js';
import { dialog, html, nothing } from '../../frame/ui.js';
import { percent } from './sums.js';

const line = (name, value) => html`<div><dt>${name}</dt><dd class="n">${value}</dd></div>`;

/** Shows a receipt: lines, total, tax, how it was paid, and what links it to the one before. */
export function openReceipt(one) {
  return dialog(t('hq.receipts.title', { kind: t(`hq.receipts.${one.kind}`), number: number(one.number) }), (close) => html`
    <p class="small">${one.event_name} · ${one.device_name}, ${one.venue} · ${time(one.at_ms)}</p>
    ${one.twice?.length ? html`<div class="note bad">${t('hq.receipts.twice')}</div>` : nothing}
    <dl class="hq-facts">
      ${one.items.map((item) => line(html`${t('hq.receipts.line', { count: item.quantity, name: item.name, price: money(item.unit_price) })}
        ${item.serials ? html`<br><span class="small">${t('hq.receipts.serials', { sku: item.sku, serials: item.serials })}</span>` : nothing}`, money(item.amount)))}
      ${line(html`<strong>${t('hq.receipts.total')}</strong>`, html`<strong>${money(one.total)}</strong>`)}
      ${(one.taxes ?? []).map((tax) => line(t('hq.receipts.tax', { rate: number(percent(tax.rate)), net: money(tax.net) }), money(tax.tax)))}
      ${(one.payments ?? []).map((paid) => line(html`${t(`hq.tender.${paid.tender}`)}${paid.reference ? ` ${paid.reference}` : ''} · ${t(`hq.receipts.state.${paid.state}`)}`, money(paid.amount)))}
      ${(one.paid_back ?? []).map((paid) => line(t('hq.receipts.back', { tender: t(`hq.tender.${paid.tender}`) }), money(paid.amount)))}
    </dl>
    <p class="small hq-long">${t('hq.receipts.links', { previous: one.previous ?? '–', hash: one.hash })}</p>
    <div class="row end"><button class="primary" @click=${() => close()}>${t('frame.close')}</button></div>`);
}
