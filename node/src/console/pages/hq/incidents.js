/** Incidents: what is proven wrong or in doubt, what it means, and what was done about it. */

import { get } from '../../frame/api.js';
import { resource } from '../../frame/live.js';
import { age, money, t, time } from '../../frame/text.js';
import { drawer, html, nothing, render, repeat, toast, words } from '../../frame/ui.js';
import { ask, needed, send } from './form.js';
import { steady } from './order.js';
import { devices, learnOwner, mayAct, notice } from './rights.js';

/** How long a note may be, bytes. */
const NOTE = 400;

/** Kinds of incidents that there are words for; another one is said as the node says it. */
const KINDS = ['spent_twice', 'not_held', 'after_retirement', 'printed_twice', 'claim_used_twice', 'retired_twice', 'no_right', 'two_pasts', 'receipts', 'payment'];

const kindOf = (incident) => (KINDS.includes(incident.kind) ? incident.kind : 'other');

/** What the node says, with names of entries as short as a person can compare them. */
export const brief = (text) => text.replace(/\b([0-9a-f]{8})[0-9a-f]{24}(:\d+)/g, '$1…$2');

/** Whose claim it is about, in words, if it is about one that is known here. */
async function about(incident) {
  const claim = incident.claim ? await get(`/v1/claims/${encodeURIComponent(incident.claim)}`).catch(() => null) : null;
  if (!claim) return null;
  const items = claim.items.map((item) => t('hq.units.serials', { name: item.sku, serials: item.units })).join(', ');
  return t(claim.shopper ? 'hq.incident.claim_of' : 'hq.incident.claim', { code: claim.code, items, total: money(claim.total), when: time(claim.at_ms), shopper: claim.shopper ?? '' });
}

async function resolve(incident) {
  const kind = kindOf(incident);
  const claim = await about(incident);
  const choices = t(`hq.incident.${kind}.choices`).split('|').map((one) => one.trim());
  const take = (text) => (event) => {
    const note = event.currentTarget.form.elements.note;
    note.value = text;
    note.focus();
  };
  const done = await ask({
    title: t('hq.incident.title'),
    yes: t('hq.incident.yes'),
    fields: () => html`
      <p><strong>${t(`hq.incident.${kind}.name`)}</strong></p>
      ${claim ? html`<p>${claim}</p>` : nothing}
      <p class="small">${brief(incident.text)}</p>
      <p>${t(`hq.incident.${kind}.todo`)}</p>
      <div class="row" role="group" aria-label=${t('hq.incident.examples')}>${choices.map((text) => html`<button type="button" class="hq-chip" @click=${take(text)}>${text}</button>`)}</div>
      <label><span>${t('hq.incident.note')}</span><textarea name="note" rows="3" maxlength=${NOTE}></textarea></label>
      <p class="small">${t('hq.incident.kept')}</p>`,
    send: (data, form, how) => send('/v1/resolutions', { incident: incident.incident, note: needed(data.note, 'note') }, how),
  });
  if (done) toast(t('hq.incident.done'), 'good');
}

function card(incident, may) {
  const kind = kindOf(incident);
  const open = incident.resolved === undefined || incident.resolved === null;
  return html`<article class="card stack hq-incident ${open ? 'open' : 'settled'}" data-incident=${incident.incident}>
    <div class="row hq-between"><h3>${t(`hq.incident.${kind}.name`)}</h3>
      <span class="hq-state ${open ? 'silent' : 'linked'}"><span aria-hidden="true">${open ? '▲' : '✓'}</span> ${t(open ? 'hq.incident.open' : 'hq.incident.settled')}</span></div>
    <p>${t(`hq.incident.${kind}.means`)}</p>
    <p class="small">${t('hq.incident.by', { name: incident.device_name, when: time(incident.at_ms), age: age(incident.at_ms) })}: ${brief(incident.text)}</p>
    ${open ? html`<p>${t(`hq.incident.${kind}.todo`)}</p>` : html`<p>${t('hq.incident.resolved', { by: incident.resolved_by ?? '', when: incident.resolved_at_ms ? time(incident.resolved_at_ms) : '' })}: ${incident.resolved}</p>`}
    ${open && may ? html`<div class="row hq-acts"><button @click=${() => resolve(incident)}>${t('hq.incident.resolve')}</button></div>` : nothing}
  </article>`;
}

/** Draws the part into `place`; what it returns ends it. */
export function start(place, frame) {
  const live = resource('/v1/incidents?limit=200', ['incident', 'incident_settled', 'voided', 'retired', 'payment_settled', 'reset'], 10_000);
  const everybody = devices();
  const kept = [];
  const draw = () => {
    const items = live.data?.items ?? [];
    const sorted = [...items].sort((a, b) => Number(Boolean(a.resolved)) - Number(Boolean(b.resolved)) || b.at_ms - a.at_ms);
    const shown = steady(kept, sorted, (one) => one.incident);
    const open = items.filter((one) => !one.resolved).length;
    const may = mayAct(frame.status());
    render(html`
      ${notice(frame.status(), everybody.data?.items ?? [])}
      ${live.error && !live.data ? html`<div class="note bad" role="alert">${words(live.error)}</div>` : nothing}
      ${live.data ? html`<h2>${items.length === 0 ? t('hq.incident.none') : open === 0 ? t('hq.incident.all_settled') : t('hq.incident.count', { count: open })}</h2>
        ${items.length === 0 ? html`<p class="dim">${t('hq.incident.none_text')}</p>` : nothing}` : html`<p class="dim">${t('hq.looking')}</p>`}
      ${repeat(shown, (one) => one.incident, (one) => card(one, may))}
      ${live.data?.next ? html`<p class="small">${t('hq.more_than', { count: 200 })}</p>` : nothing}`, place);
  };
  const news = drawer(draw);
  const ends = [live.watch(news), everybody.watch(news)];
  learnOwner().then(news);
  draw();
  return () => ends.forEach((end) => end());
}
