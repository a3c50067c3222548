/** One device: what is known of it, and what an hq can do about it. */

import { t, time } from '../../frame/text.js';
import { dialog, drawer, html, nothing } from '../../frame/ui.js';
import { renewOne } from './certificates.js';
import { SIGNS, certificateState, heardWords, knowsNobody, lagWords, linkWords, neighbours, roleWords, stateOf, stateWords } from './device-words.js';
import { giveTo } from './give.js';
import { mesh } from './mesh.js';
import { mayAct } from './rights.js';
import { retire } from './retire.js';

function facts(node, data) {
  const names = new Map(data.nodes.map((one) => [one.device, one.name]));
  const links = neighbours(node.device, data.edges, names);
  const state = stateOf(node);
  const rows = [
    [t('hq.col.state'), html`<span class="hq-state ${state}"><span aria-hidden="true">${SIGNS[state]}</span> ${stateWords(node)}</span>`],
    [t('hq.col.roles'), roleWords(node.roles)],
    [t('hq.col.venue'), node.venue],
    [t('hq.col.heard'), heardWords(node)],
    [t('hq.col.lag'), lagWords(node)],
    [t('hq.col.program'), node.program ?? t('hq.unknown')],
    [t('hq.col.sees'), links.length ? html`<ul class="bare">${links.map((one) => html`<li>${t('hq.sees_one', { name: one.name, how: linkWords(one.edge, data.as_of_ms) })}</li>`)}</ul>`
      : t(knowsNobody(node) ? 'hq.sees_none' : 'hq.sees_unknown')],
    [t('hq.col.certificate'), t(`hq.certificate.${certificateState(node.certificate_until_ms, data.as_of_ms)}`, { when: time(node.certificate_until_ms) })],
    [t('hq.col.key'), html`<code>${node.device.slice(0, 8)}</code>`],
  ];
  if (node.clock_ahead_ms && Math.abs(node.clock_ahead_ms) > 5000) {
    const key = node.clock_ahead_ms > 0 ? 'hq.clock_ahead' : 'hq.clock_behind';
    rows.push([t('hq.col.clock'), t(key, { count: Math.round(Math.abs(node.clock_ahead_ms) / 1000) })]);
  }
  return html`<dl class="hq-facts">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** Opens what is known of a device, kept up to date while it is open, and does what is chosen there. */
export async function openSheet(device, frame) {
  const live = mesh();
  const named = live.data?.nodes.find((node) => node.device === device)?.name ?? device.slice(0, 8);
  let end = null;
  const chosen = await dialog(named, (close, redraw) => {
    end ??= live.watch(drawer(redraw));
    const node = live.data?.nodes.find((one) => one.device === device);
    if (!node) return html`<p>${t('hq.looking')}</p>`;
    const may = mayAct(frame.status());
    const gone = Boolean(node.retired_by);
    return html`${facts(node, live.data)}
      <div class="row end">
        ${may && !gone ? html`
          ${node.here ? nothing : html`<button @click=${() => close('give')}>${t('hq.give.open_to')}</button>`}
          <button @click=${() => close('renew')}>${t('hq.renew.open')}</button>
          ${node.here ? nothing : html`<button class="danger" @click=${() => close('retire')}>${t('hq.retire.open')}</button>`}` : nothing}
        <button class="primary" @click=${() => close()}>${t('frame.close')}</button>
      </div>`;
  });
  end?.();
  const node = live.data?.nodes.find((one) => one.device === device);
  if (!node) return;
  if (chosen === 'give') await giveTo({ to: node.name });
  if (chosen === 'renew') await renewOne(node);
  if (chosen === 'retire') await retire(node);
}
