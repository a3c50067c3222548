/** How it is paid: cash with its change, card, voucher, other; whole or in parts. */

import { html, nothing } from '../../frame/ui.js';
import { amount, minorDigits, money, t } from '../../frame/text.js';
import { give, inCoins, likely } from './reckon.js';
import { sell } from './sale.js';

/** Most payments of one sale. */
const MOST_PARTS = 4;
const OTHERS = ['card', 'voucher', 'other'];

/** Opens the question how it is paid. `total` is what the node reckoned, where it said otherwise than this page. */
export function open(till, total = null) {
  till.pay = { total, tender: null, part: '', splitting: false, given: '', reference: '', deferred: false, parts: [] };
  till.panel = 'pay';
  till.problem = null;
  till.draw();
}

const remaining = (till) => till.total - till.pay.parts.reduce((all, one) => all + one.amount, 0);

/** What the next payment is of: a part if one was typed, else all that remains. */
function due(till) {
  const part = till.pay.splitting ? amount(till.pay.part) : null;
  return part && part < remaining(till) ? part : remaining(till);
}

const cashDue = (till) => inCoins(due(till), till.coin);
const hasCash = (till) => till.pay.parts.some((one) => one.tender === 'cash');
const digits = () => minorDigits();

/** Takes a payment: the sale is made once all is paid. */
function take(till, payment) {
  const parts = [...till.pay.parts, payment];
  const paid = parts.reduce((all, one) => all + one.amount, 0);
  if (paid >= till.total) {
    till.pay.parts = parts;
    sell(till, parts);
    return;
  }
  Object.assign(till.pay, { parts, tender: null, part: '', given: '', reference: '', deferred: false, splitting: false });
  till.draw();
}

/** Takes cash: `given` is what the shopper hands over. */
export function takeCash(till, given) {
  take(till, { tender: 'cash', amount: due(till), given });
}

/** Cash to the coin, from wherever the page stands. */
export function exact(till) {
  if (till.panel === 'cart' && till.units > 0) open(till);
  if (till.panel !== 'pay' || hasCash(till)) return;
  takeCash(till, cashDue(till));
}

/** Another tender than cash is chosen, or none. */
export function choose(till, tender) {
  if (till.panel === 'cart' && till.units > 0) open(till);
  if (till.panel !== 'pay') return;
  till.pay.tender = tender;
  till.draw();
}

/** What the one button does now: `{text, act}`; without `act` there is nothing to do yet. */
export function primary(till) {
  const { pay } = till;
  if (pay.tender) {
    const facts = { amount: money(due(till)) };
    const text = pay.deferred ? t('till.take_later', facts) : t(`till.take.${pay.tender}`, facts);
    const later = pay.deferred && due(till) > till.mayWait;
    const payment = { tender: pay.tender, amount: due(till), ...(pay.reference ? { reference: pay.reference } : {}), ...(pay.deferred ? { deferred: true } : {}) };
    return { text, act: later ? null : () => take(till, payment) };
  }
  const given = amount(pay.given);
  if (given !== null && given >= cashDue(till)) {
    return { text: t('till.take_cash', { given: money(given), change: money(given - cashDue(till)) }), act: () => takeCash(till, given) };
  }
  return { text: t('till.how_paid'), act: null };
}

/** Notes and coins, in words: `1 × 20.00 € · 2 × 2.00 €`. */
export function pieces(till, change) {
  const { pieces: found } = give(change, till.currency, digits(), till.coin);
  return found.map(({ value, count }) => `${count} × ${money(value)}`).join(' · ');
}

function cash(till) {
  if (hasCash(till)) return nothing;
  const wanted = cashDue(till);
  return html`<section class="paid" aria-label=${t('till.tender.cash')}>
    <h3>${t('till.tender.cash')}${wanted === due(till) ? '' : ` ${t('till.rounded', { amount: money(wanted) })}`}</h3>
    <div class="notes">
      <button class="exact" @click=${() => takeCash(till, wanted)}>${t('till.exact', { amount: money(wanted) })}</button>
      ${likely(wanted, till.currency, digits()).map((one) => html`<button @click=${() => takeCash(till, one)}>
        <span>${money(one)}</span><span class="small">${t('till.back', { amount: money(one - wanted) })}</span></button>`)}
    </div>
  </section>`;
}

/** Any other amount that was handed over; beside it, that it is paid in parts. */
function other(till) {
  if (hasCash(till)) return split(till);
  const wanted = cashDue(till);
  const given = amount(till.pay.given);
  const problem = till.pay.given && given === null ? t('till.no_amount') : given !== null && given < wanted ? t('till.short', { amount: money(wanted - given) }) : '';
  return html`<div class="amounts">
    <label><span>${t('till.given')}</span>
      <input id="till-given" inputmode="decimal" autocomplete="off" aria-describedby="till-given-said" .value=${till.pay.given}
        @input=${(event) => { till.pay.given = event.target.value; till.draw(); }}></label>
    ${split(till)}
    <p id="till-given-said" class="small" role="status">${problem}</p>
  </div>`;
}

function tenders(till) {
  return html`<div class="tenders">${OTHERS.map((one) => html`
    <button @click=${() => choose(till, one)}>${t(`till.tender.${one}`)}</button>`)}</div>`;
}

function split(till) {
  const { pay } = till;
  if (pay.parts.length + 1 >= MOST_PARTS) return nothing;
  if (!pay.splitting) {
    return html`<button @click=${() => { pay.splitting = true; till.draw(); }}>${t('till.split')}</button>`;
  }
  return html`<label><span>${t('till.part', { amount: money(remaining(till)) })}</span>
    <input inputmode="decimal" autocomplete="off" .value=${pay.part} @input=${(event) => { pay.part = event.target.value; till.draw(); }}></label>`;
}

function noncash(till) {
  const { pay, mayWait } = till;
  const wanted = due(till);
  const set = (name) => (event) => { pay[name] = event.target.value.trim(); till.draw(); };
  return html`<section class="stack" aria-label=${t(`till.tender.${pay.tender}`)}>
    <h3>${t(`till.tender.${pay.tender}`)}</h3>
    <p>${t(`till.first.${pay.deferred ? 'later' : pay.tender}`, { amount: money(wanted) })}</p>
    <label><span>${t('till.reference')}</span>
      <input maxlength="64" autocomplete="off" autocapitalize="off" .value=${pay.reference} @change=${set('reference')}></label>
    ${mayWait > 0 ? html`<label class="choice"><input type="checkbox" .checked=${pay.deferred}
      @change=${(event) => { pay.deferred = event.target.checked; till.draw(); }}>
      <span>${mayWait === Infinity ? t('till.later') : t('till.later_limit', { amount: money(mayWait) })}</span></label>` : nothing}
    ${pay.deferred && wanted > mayWait ? html`<p class="note warn">${t('till.later_too_much', { amount: money(mayWait) })}</p>` : nothing}
    <button @click=${() => choose(till, null)}>${t('till.other_way')}</button>
  </section>`;
}

/** What the panel shows while it is asked how it is paid. */
export function view(till) {
  const { pay } = till;
  // The price fell below what was taken in parts: they are taken anew.
  if (pay.parts.length > 0 && remaining(till) <= 0) pay.parts = [];
  return html`
    ${pay.total !== null ? html`<p class="note warn">${t('till.new_total', { amount: money(pay.total) })}</p>` : nothing}
    ${pay.parts.length > 0 ? html`<ul class="parts">${pay.parts.map((one, at) => html`<li>
        <span>${t(`till.tender.${one.tender}`)}</span><span class="n">${money(one.amount)}</span>
        <button aria-label=${t('till.part_off', { tender: t(`till.tender.${one.tender}`) })} @click=${() => { pay.parts = pay.parts.filter((_, which) => which !== at); till.draw(); }}>×</button></li>`)}</ul>
      <p><b>${t('till.remains', { amount: money(remaining(till)) })}</b></p>` : nothing}
    ${pay.tender ? noncash(till) : html`${cash(till)}
      <section class="paid" aria-label=${t('till.other_tenders')}><h3>${t('till.other_tenders')}</h3>${tenders(till)}</section>
      ${other(till)}`}`;
}
