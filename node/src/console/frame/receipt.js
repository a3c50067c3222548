/** A receipt as the shopper gets it, in the person's language: shown, and printed by the browser. */

import { format, money, number, t } from './text.js';
import { dialog, html, nothing, stylesheet } from './ui.js';

/** Tax rates are in basis points. */
const rate = (points) => t('receipt.percent', { value: number(points / 100) });
/** Enough of a hash to compare by eye. */
const short = (hash) => hash.slice(0, 16);
const line = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
const small = (text) => html`<br><small>${text}</small>`;
const rounding = (minor) => (minor ? line(t('receipt.rounding'), money(minor)) : nothing);

/** When it was made, with the day. */
const moment = (ms) => format('DateTimeFormat', { dateStyle: 'medium', timeStyle: 'medium' }).format(ms);

function item(one) {
  const each = t('receipt.each', { count: one.quantity, price: money(one.unit_price) });
  const serials = one.serials ? ` · ${one.edition ? `${one.edition} ` : ''}${t('receipt.serials', { serials: one.serials })}` : '';
  return line(html`${one.name}${small(`${each}${one.rate === undefined || one.rate === null ? '' : ` (${rate(one.rate)})`} · ${one.sku}${serials}`)}`, money(one.amount));
}

function paid(one) {
  const parts = [t(`till.tender.${one.tender}`), one.state === 'approved' ? '' : t(`receipt.state.${one.state}`), one.reference ?? ''];
  return html`${rounding(one.rounding)}${line(parts.filter(Boolean).join(', '), money(one.given ?? one.amount + (one.rounding ?? 0)))}
    ${one.change ? line(t('receipt.change'), money(one.change)) : nothing}`;
}

function back(one) {
  const tender = t(`till.tender.${one.tender}`);
  if (one.cancelled) return line(t('receipt.not_taken', { tender }), money(one.amount));
  return html`${rounding(one.rounding)}${line(t('receipt.back', { tender }), money(one.amount + (one.rounding ?? 0)))}`;
}

/** Shows a receipt: lines, total, tax, how it was paid, and what links it to the one before. */
export async function openReceipt(one) {
  await stylesheet('/frame/receipt.css');
  const title = t(`receipt.${one.kind}`, { number: one.number });
  return dialog(title, (close) => html`
    <article class="receipt" tabindex="0" aria-label=${title}>
      <p><b>${one.event_name}</b><br>${one.device_name}, ${one.venue}</p>
      <p>${title} · ${moment(one.at_ms)}</p>
      <dl>${one.items.map(item)}</dl>
      <dl>${line(html`<b>${t('receipt.total')}</b>`, html`<b>${money(one.total)}</b>`)}
        ${(one.taxes ?? []).map((tax) => line(t(`receipt.tax_${one.prices}`, { rate: rate(tax.rate), net: money(tax.net) }), money(tax.tax)))}
        ${(one.payments ?? []).map(paid)}${(one.paid_back ?? []).map(back)}</dl>
      ${one.pickup ? html`<p>${t('receipt.pickup', { name: one.pickup.name })}${one.pickup.place ? `, ${one.pickup.place}` : ''}</p>` : nothing}
      <p><small>${t('receipt.claim', { claim: one.claim })}<br>
        ${one.previous ? t('receipt.after', { previous: short(one.previous), hash: short(one.hash) }) : t('receipt.first', { hash: short(one.hash) })}</small></p>
      ${one.twice?.length ? html`<p><b>${t('receipt.twice')}</b></p>` : nothing}
    </article>
    <div class="row end">
      <button @click=${() => window.print()}>${t('receipt.print')}</button>
      <button class="primary" @click=${() => close()}>${t('frame.close')}</button>
    </div>`);
}
