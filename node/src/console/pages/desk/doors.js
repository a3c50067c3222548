/** Compartments and their doors: what lies where, what jams, and what a person has to look at. */

import { Problem, act } from '../../frame/api.js';
import { t, time } from '../../frame/text.js';
import { dialog, html, nothing, repeat, toast, words } from '../../frame/ui.js';
import { doorWords } from './answer.js';
import { items } from './goods.js';

const WHO = 'popmesh.desk.who';

/** Opens the doors of a claim again. Resolves with how they stand, or with `null` if that was refused. */
export async function openAgain(claim) {
  try {
    return await act('/v1/doors/open', { claim }, { name: t('desk.door.open_again') });
  } catch (error) {
    toast(words(error), 'bad');
    return null;
  }
}

/** Asks what a person found at a door, and says so for good. Resolves with how it stands, or `null`. */
export async function settle(door) {
  let who = localStorage.getItem(WHO) ?? '';
  const found = await dialog(t('desk.door.settle_title', { where: door.compartments.join(', ') }), (close, redraw) => {
    const say = (handed) => () => {
      if (!who.trim()) {
        redraw();
        document.querySelector('dialog input')?.focus();
        return;
      }
      close(handed);
    };
    return html`
      <p>${t('desk.door.settle_text')}</p>
      <label><span>${t('desk.door.who')}</span>
        <input maxlength="80" autocomplete="name" required .value=${who} @input=${(event) => { who = event.target.value; }}></label>
      <div class="desk-choices">
        <button class="primary" @click=${say(true)}>${t('desk.door.has_it')}</button>
        <button class="danger" @click=${say(false)}>${t('desk.door.has_it_not')}</button>
        <button @click=${() => close()}>${t('frame.cancel')}</button>
      </div>`;
  });
  if (found === undefined) return null;
  localStorage.setItem(WHO, who.trim());
  try {
    return await act('/v1/doors/settle', { claim: door.claim, handed_over: found, by: who.trim() }, { name: t('desk.door.settle') });
  } catch (error) {
    toast(words(error), 'bad');
    return null;
  }
}

async function jam(compartment, jammed, touch) {
  try {
    await act('/v1/doors/jam', { compartment, jammed }, { method: 'PUT' });
    touch();
  } catch (error) {
    toast(words(error), 'bad');
  }
}

/** The line of one door: how it stands, and what can be done. `mine` if it is this device's. */
export function doorLine(door, { mine, touch, again }) {
  const { tone, text } = doorWords(door);
  const settled = typeof door.handed_over === 'boolean';
  const open = mine && !settled && (door.in_doubt || door.state === 'stuck');
  const looks = open || (mine && !settled && door.state === 'opened' && again);
  const then = (one) => one.then((now) => { if (now) touch(now); });
  return html`<div class="desk-door ${tone}">
    <p><span class="desk-sign" aria-hidden="true">${{ good: '✓', bad: '✕', wait: '…' }[tone]}</span> ${text}</p>
    ${open || looks ? html`<div class="row">
      ${open ? html`<button class="primary" ?disabled=${door.being_opened} @click=${() => then(openAgain(door.claim))}>${t('desk.door.open_again')}</button>` : nothing}
      ${looks ? html`<button @click=${() => then(settle(door))}>${t('desk.door.settle')}</button>` : nothing}
    </div>` : nothing}
  </div>`;
}

function toLookAt(door, me, touch) {
  const mine = door.device === me;
  return html`<li class="card stack">
    <div class="row"><h3>${t('desk.door.of', { where: door.compartments.join(', '), name: door.name })}</h3>
      <span class="small">${t('desk.door.redeemed', { time: time(door.at_ms) })}</span></div>
    ${doorLine(door, { mine, touch })}
    ${mine ? nothing : html`<p class="small">${door.handed_over === false ? t('desk.door.pay_back') : t('desk.door.elsewhere', { name: door.name })}</p>`}
    ${mine && door.handed_over === false ? html`<p class="small">${t('desk.door.pay_back')}</p>` : nothing}
  </li>`;
}

function compartment(one, { names, virtual, touch }) {
  const jammed = virtual?.jammed;
  const last = one.last ? doorWords(one.last) : null;
  return html`<li class="card desk-compartment">
    <strong class="desk-number">${one.compartment}</strong>
    <div>
      ${one.items.length === 0 ? html`<p class="dim">${t('desk.door.empty')}</p>` : items(one.items, names, (item) => (item.claim ? t('desk.door.sold') : ''))}
      ${jammed ? html`<p class="desk-tone bad"><span aria-hidden="true">✕</span> ${t('desk.door.jammed')}</p>`
        : last ? html`<p class="desk-tone ${last.tone}"><span aria-hidden="true">${{ good: '✓', bad: '✕', wait: '…' }[last.tone]}</span> ${last.text}</p>` : nothing}
    </div>
    ${virtual ? html`<button @click=${() => jam(one.compartment, !jammed, touch)}>
      ${jammed ? t('desk.door.free_it') : t('desk.door.jam')}</button>` : nothing}
  </li>`;
}

/** The doors' part of the page. */
export function doorsView(doors, { me, names }) {
  if (doors.error instanceof Problem) return html`<p class="note warn">${words(doors.error)}</p>`;
  if (!doors.data) return html`<p class="dim">${t('desk.looking')}</p>`;
  const { compartments, to_look_at: looks, driver, virtual_doors: virtual } = doors.data;
  const touch = () => doors.touch();
  const known = new Set(compartments.map((one) => one.compartment));
  const jammed = virtual.filter((door) => door.jammed && !known.has(door.compartment));
  const all = [...compartments, ...jammed.map((door) => ({ compartment: door.compartment, items: [] }))];
  return html`
    <section class="stack" aria-labelledby="desk-looks">
      <h2 id="desk-looks">${t('desk.door.look_at')}</h2>
      ${looks.length === 0 ? html`<p class="desk-tone good"><span aria-hidden="true">✓</span> ${t('desk.door.none')}</p>`
        : html`<ul class="desk-list">${repeat(looks, (one) => one.redemption, (one) => toLookAt(one, me, touch))}</ul>`}
    </section>
    <section class="stack" aria-labelledby="desk-compartments">
      <h2 id="desk-compartments">${t('desk.door.compartments')}</h2>
      <p class="small">${!driver ? t('desk.door.by_hand') : driver === 'virtual' ? t('desk.door.virtual') : t('desk.door.driver', { driver })}</p>
      ${all.length === 0 ? html`<p class="dim">${t('desk.door.no_compartments')}</p>` : nothing}
      <ul class="desk-list">${repeat(all, (one) => one.compartment, (one) => compartment(one, {
        names, touch, virtual: driver === 'virtual' ? virtual.find((door) => door.compartment === one.compartment) ?? {} : null,
      }))}</ul>
    </section>`;
}
