/** One sale that was made: how it stands, and what can be done with it: hand out, take back, fetch here, settle. */

import { Problem, act, get } from '../../frame/api.js';
import { confirm, dialog, html, nothing, toast, words } from '../../frame/ui.js';
import { money, t, time } from '../../frame/text.js';
import { countOf, linesOf, serialsOf, setOf } from './basket.js';
import { showCode, showReceipt } from './receipt.js';

/** Says what is to be paid back, large: by tender. */
export function paidBack(till, refund) {
  const out = (refund.payments ?? []).filter((one) => !one.cancelled);
  const cancelled = (refund.payments ?? []).filter((one) => one.cancelled);
  return dialog(t('till.pay_back'), (close) => html`
    <div class="change"><span>${refund.amount > 0 ? t('till.pay_back_now') : t('till.pay_back_none')}</span>
      <strong data-back=${refund.amount}>${money(refund.amount)}</strong></div>
    <ul class="plain">
      ${out.map((one) => html`<li>${t(`till.tender.${one.tender}`)}: ${money(one.amount + (one.rounding ?? 0))}</li>`)}
      ${cancelled.map((one) => html`<li>${t('till.cancelled', { tender: t(`till.tender.${one.tender}`), amount: money(one.amount) })}</li>`)}
    </ul>
    ${refund.claim?.state === 'refund_requested' ? html`<p class="note warn">${t('till.only_asked', { name: till.deviceName(refund.claim.custodian) })}</p>` : nothing}
    <div class="row end">
      ${(refund.receipts ?? []).map((number) => html`<button @click=${() => showReceipt(till, till.me.device, number)}>${t('till.receipt_number', { number })}</button>`)}
      <button class="primary" @click=${() => close()}>${t('till.paid_back_done')}</button>
    </div>`);
}

/** Most units of a claim among which a person chooses; of more, all are taken back. */
const MOST_CHOSEN = 200;

/** Units that a claim still has, by SKU: all, less those taken back. `count` is how many, `serials` which, up to the most. */
function left(claim) {
  const sets = (items) => {
    const by = new Map();
    for (const item of items) by.set(item.sku, [...(by.get(item.sku) ?? []), item.units]);
    return by;
  };
  const gone = sets(claim.refunded ?? []);
  const count = (all) => (all ?? []).reduce((sum, set) => sum + countOf(set), 0);
  return [...sets(claim.items)].map(([sku, all]) => {
    const out = new Set((gone.get(sku) ?? []).flatMap((set) => serialsOf(set, Infinity)));
    const serials = all.flatMap((set) => serialsOf(set, MOST_CHOSEN)).filter((serial) => !out.has(serial));
    return { sku, count: count(all) - count(gone.get(sku)), serials, price: claim.items.find((item) => item.sku === sku).unit_price };
  }).filter((line) => line.count > 0);
}

/** What is given back, and whether it can be sold again. Asked before it is done. */
async function refund(till, claim) {
  const lines = left(claim);
  const all = lines.reduce((sum, line) => sum + line.count, 0);
  const chooses = all <= MOST_CHOSEN;
  const chosen = new Map(lines.map((line) => [line.sku, new Set(line.serials)]));
  let damaged = false;
  const toggle = (sku, serial, redraw) => () => {
    const set = chosen.get(sku);
    if (!set.delete(serial)) set.add(serial);
    redraw();
  };
  const count = () => (chooses ? [...chosen.values()].reduce((sum, set) => sum + set.size, 0) : all);
  const worth = () => (count() === all && lines.length > 0 && (claim.refunded ?? []).length === 0
    ? claim.total : lines.reduce((sum, line) => sum + line.price * (chooses ? chosen.get(line.sku).size : line.count), 0));
  const brought = claim.state === 'redeemed' || claim.state === 'returned';
  const go = await dialog(t('till.refund_title'), (close, redraw) => html`
    <p>${brought ? t('till.refund_brought') : t('till.refund_unfetched')}</p>
    ${lines.map((line) => html`<fieldset><legend>${till.nameOf(line.sku)} · ${money(line.price)}</legend>
      ${chooses ? html`<div class="serials">${line.serials.map((serial) => html`<label class="choice"><input type="checkbox"
        .checked=${chosen.get(line.sku).has(serial)} @change=${toggle(line.sku, serial, redraw)}><span>${t('till.serial', { serial })}</span></label>`)}</div>`
    : html`<p>${t('till.all_of', { count: line.count })}</p>`}</fieldset>`)}
    <label class="choice"><input type="checkbox" .checked=${damaged} @change=${(event) => { damaged = event.target.checked; redraw(); }}>
      <span>${t('till.damaged')}</span></label>
    <p>${damaged ? t('till.goes_damaged') : t('till.goes_back')}</p>
    <div class="row end">
      <button @click=${() => close(false)}>${t('frame.cancel')}</button>
      <button class="danger" ?disabled=${count() === 0} @click=${() => close(true)}>${t('till.refund_yes', { count: count(), amount: money(worth()) })}</button>
    </div>`);
  if (!go) return null;
  const items = chooses ? lines.map((line) => ({ sku: line.sku, serials: setOf(chosen.get(line.sku)) })).filter((item) => item.serials) : [];
  const said = await act('/v1/refunds', { claim: claim.claim, items, damaged }, { name: `${t('till.take_back')}: ${claim.code}` });
  till.stock.touch();
  await paidBack(till, said);
  return said.claim;
}

/** A PIN, where the claim has one. */
function askPin() {
  return dialog(t('till.pin_title'), (close) => html`<form class="stack" @submit=${(event) => { event.preventDefault(); close(new FormData(event.target).get('pin')); }}>
    <label><span>${t('till.pin_ask')}</span><input name="pin" inputmode="numeric" maxlength="8" autocomplete="off" autofocus></label>
    <div class="row end"><button type="button" @click=${() => close()}>${t('frame.cancel')}</button><button class="primary">${t('till.hand_out')}</button></div>
  </form>`);
}

/** Hands out what was sold for pickup. Nothing is handed over before the answer is here. */
async function redeem(till, claim) {
  const pin = claim.pin ? await askPin() : undefined;
  if (claim.pin && !pin) return null;
  const said = await act('/v1/redemptions', { claim: claim.claim, ...(pin ? { pin } : {}) }, { name: `${t('till.hand_out')}: ${claim.code}` });
  await dialog(t('till.hand_out_now'), (close) => html`
    <div class="note good"><ul class="plain">${said.items.map((item) => html`<li><b>${till.nameOf(item.sku)}</b>: ${t('till.serial', { serial: item.units })}${item.place ? ` · ${item.place}` : ''}</li>`)}</ul></div>
    <div class="row end"><button class="primary" @click=${() => close()}>${t('till.handed_out')}</button></div>`);
  return get(`/v1/claims/${claim.claim}`);
}

/** Lets a PIN be tried again, once a person has looked who is there. */
async function unlock(claim) {
  if (!(await confirm({ title: t('till.unlock'), text: t('till.unlock_text'), yes: t('till.unlock') }))) return null;
  await act(`/v1/claims/${claim.claim}/unlock`, undefined, { name: `${t('till.unlock')}: ${claim.code}` });
  return null;
}

async function fetchHere(till, claim) {
  await act('/v1/custody', { claim: claim.claim, to: till.me.device }, { name: t('till.fetch_here', { name: till.deviceName(claim.custodian) }) });
  return get(`/v1/claims/${claim.claim}`);
}

/** Says what became of a payment that waited: it was taken, or could not be. */
export async function settle(claim, payment, failed) {
  if (failed && !(await confirm({ title: t('till.failed_title'), text: t('till.failed_text'), yes: t('till.failed_yes') }))) return null;
  return act('/v1/settlements', { claim, payment, failed }, { name: failed ? t('till.failed') : t('till.settled') });
}

function payments(till, claim, run) {
  return html`<ul class="plain">${(claim.payments ?? []).map((one, at) => html`<li class="row">
    <span>${t(`till.tender.${one.tender}`)} ${money(one.amount)}${one.reference ? ` · ${one.reference}` : ''}${one.state === 'approved' ? '' : ` · ${t(`till.payment.${one.state}`)}`}</span>
    ${one.state === 'deferred' && claim.seller === till.me?.device ? html`
      <button @click=${run(() => settle(claim.claim, at + 1, false).then(() => get(`/v1/claims/${claim.claim}`)))}>${t('till.settled')}</button>
      <button class="danger" @click=${run(() => settle(claim.claim, at + 1, true).then((said) => said && get(`/v1/claims/${claim.claim}`)))}>${t('till.failed')}</button>` : nothing}
  </li>`)}</ul>`;
}

/** How a claim stands, in words. */
export const stateWords = (till, claim) => t(`till.claim.${claim.state}`, {
  time: claim.redeemed_at_ms ? time(claim.redeemed_at_ms) : '', name: till.deviceName(claim.redeemed_by ?? claim.custodian),
});

/** Opens a claim: how it stands, and what can be done with it here. */
export function openClaim(till, claim) {
  let now = claim;
  let problem = null;
  let working = false;
  return dialog(t('till.claim_title', { code: claim.code }), (close, redraw) => {
    const run = (what) => async () => {
      if (working) return;
      working = true;
      problem = null;
      redraw();
      try {
        now = (await what()) ?? now;
      } catch (error) {
        problem = error;
        if (error instanceof Problem) now = await get(`/v1/claims/${now.claim}`).catch(() => now);
      }
      working = false;
      redraw();
    };
    const own = now.custodian === till.me?.device;
    const open = now.state === 'issued' || now.state === 'refund_requested';
    const units = left(now).length > 0;
    return html`
      <p class="note ${open ? 'good' : ''}"><b>${stateWords(till, now)}</b></p>
      ${problem ? html`<div class="note bad" role="alert"><p>${words(problem)}</p>
        ${problem.code === 'pin_locked' ? html`<button @click=${run(() => unlock(now))}>${t('till.unlock')}</button>` : nothing}</div>` : nothing}
      <ul class="plain">${linesOf(now.items).map((line) => html`<li>${t('till.sold_line', { quantity: line.quantity, name: till.nameOf(line.sku), serials: line.serials.join(', ') })}</li>`)}</ul>
      <p>${t('till.claim_sold', { time: time(now.at_ms), name: till.deviceName(now.seller), total: money(now.total) })}${now.shopper ? ` · ${now.shopper}` : ''}</p>
      ${payments(till, now, run)}
      ${(now.refunded ?? []).length > 0 ? html`<p>${t('till.claim_back', { items: linesOf(now.refunded).map((line) => `${line.quantity} × ${till.nameOf(line.sku)}`).join(', ') })}</p>` : nothing}
      ${open && !own ? html`<p class="note warn">${t('till.claim_elsewhere', { name: till.deviceName(now.custodian) })}</p>` : nothing}
      <div class="row">
        ${open && own ? html`<button class="primary" ?disabled=${working || !till.maySell} @click=${run(() => redeem(till, now))}>${t('till.hand_out')}</button>` : nothing}
        ${open && !own ? html`<button class="primary" ?disabled=${working || !till.maySell} @click=${run(() => fetchHere(till, now))}>${t('till.fetch_here', { name: till.deviceName(now.custodian) })}</button>` : nothing}
        ${open ? html`<button ?disabled=${!till.maySell} @click=${() => showCode(till, now)}>${t('till.show_code')}</button>` : nothing}
        ${units ? html`<button class="danger" ?disabled=${working || !till.maySell} @click=${run(() => refund(till, now))}>${t('till.take_back')}</button>` : nothing}
        ${now.receipt ? html`<button @click=${() => showReceipt(till, now.seller, now.receipt)}>${t('till.receipt')}</button>` : nothing}
      </div>
      <div class="row end"><button @click=${() => close()}>${t('frame.close')}</button></div>`;
  });
}
