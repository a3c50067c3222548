/** The devices of the event: admitting one, certificates, who may retire, and retiring one. */

import { resource } from '../../frame/live.js';
import { t, time } from '../../frame/text.js';
import { drawer, html, nothing, render, words } from '../../frame/ui.js';
import { admit } from './admit.js';
import { renewAll } from './certificates.js';
import { SIGNS, certificateState, heardWords, roleWords, stateOf, stateWords } from './device-words.js';
import { mesh } from './mesh.js';
import { byName, steady } from './order.js';
import { learnOwner, mayAct, mayAdmit, notice } from './rights.js';
import { entrust } from './retire.js';
import { openSheet } from './sheet.js';
import { table } from './table.js';

function certificate(node, now) {
  if (node.retired_by) return '–';
  const state = certificateState(node.certificate_until_ms, now);
  const text = t(`hq.certificate.${state}`, { when: time(node.certificate_until_ms) });
  return state === 'good' ? text : html`<span class="hq-warn"><span aria-hidden="true">▲</span> ${text}</span>`;
}

function list(nodes, now, open) {
  return table({
    caption: t('hq.devices.table'),
    width: 'many',
    rows: nodes,
    key: (node) => node.device,
    columns: [
      { head: t('hq.col.device'), row: true, cell: (node) => html`<button class="plain hq-open" @click=${() => open(node.device)}>${node.name}</button>` },
      { head: t('hq.col.roles'), cell: (node) => roleWords(node.roles) },
      { head: t('hq.col.venue'), cell: (node) => node.venue },
      { head: t('hq.col.state'), cell: (node) => html`<span class="hq-state ${stateOf(node)}"><span aria-hidden="true">${SIGNS[stateOf(node)]}</span> ${stateWords(node)}</span>` },
      { head: t('hq.col.heard'), cell: heardWords },
      { head: t('hq.col.certificate'), cell: (node) => certificate(node, now) },
    ],
  });
}

function registrars(said, hqs, may) {
  const good = said.filter((one) => !one.retired_by);
  const here = good.some((one) => one.here);
  const others = hqs.filter((one) => !one.here && !one.retired_by && !one.left_to);
  const who = good.map((one) => one.name).join(', ');
  return html`<section class="card stack"><h2>${t('hq.registrar.head')}</h2>
    <p>${here ? t('hq.registrar.here') : good.length ? t('hq.registrar.elsewhere', { who }) : t('hq.registrar.nobody')}</p>
    ${here && may && others.length ? html`<div class="row"><button @click=${() => entrust(others)}>${t('hq.registrar.open')}</button></div>` : nothing}
  </section>`;
}

/** Draws the part into `place`; what it returns ends it. */
export function start(place, frame) {
  const live = mesh();
  const windows = resource('/v1/admissions', [], 3000);
  const rights = resource('/v1/registrars', ['entrusted', 'retired', 'reset']);
  const kept = [];
  const open = (device) => openSheet(device, frame);
  const draw = () => {
    const data = live.data;
    if (!data) {
      render(html`${live.error ? html`<div class="note bad" role="alert">${words(live.error)}</div>` : html`<p class="dim">${t('hq.looking')}</p>`}`, place);
      return;
    }
    const may = mayAct(frame.status());
    const signs = mayAdmit(frame.status());
    const sorted = [...data.nodes].sort((a, b) => Number(Boolean(a.retired_by)) - Number(Boolean(b.retired_by)) || byName(a.venue, b.venue) || byName(a.name, b.name));
    const nodes = steady(kept, sorted, (node) => node.device);
    const ways = (windows.data?.items ?? []).filter((one) => one.state === 'open');
    const good = data.nodes.filter((node) => !node.retired_by && !node.left_to);
    const soon = good.filter((node) => certificateState(node.certificate_until_ms, data.as_of_ms) !== 'good');
    render(html`
      ${notice(frame.status(), data.nodes)}
      <div class="row hq-acts">
        <button class="primary" ?disabled=${!signs} @click=${() => admit(frame, data.nodes)}>${t('hq.admit.open')}</button>
        <button ?disabled=${!signs} @click=${() => renewAll(good.filter((node) => !node.here))}>${t('hq.renew.all_open')}</button>
      </div>
      <section class="card">${list(nodes, data.as_of_ms, open)}</section>
      ${ways.length && signs ? html`<section class="card stack"><h2>${t('hq.devices.open', { count: ways.length })}</h2>
        <ul class="bare">${ways.map((one) => html`<li class="row hq-between"><span>${one.roles.map((role) => t(`hq.role.${role}`)).join(', ')} · ${one.venue} · ${t('hq.admit.so_far', { done: one.admitted.length, count: one.count })}</span>
          <button @click=${() => admit(frame, data.nodes, one)}>${t('hq.devices.show')}</button></li>`)}</ul></section>` : nothing}
      ${soon.length ? html`<div class="note warn">${t('hq.devices.soon', { count: soon.length, names: soon.map((node) => node.name).join(', ') })}</div>` : nothing}
      ${rights.data ? registrars(rights.data.items, good.filter((node) => node.roles.includes('hq')), may) : nothing}`, place);
  };
  const news = drawer(draw);
  const ends = [live.watch(news), rights.watch(news)];
  let over = false;
  learnOwner().then(() => {
    // Only who may open a way in is told which are open.
    if (!over && mayAdmit(frame.status())) ends.push(windows.watch(news));
    news();
  });
  draw();
  return () => {
    over = true;
    ends.forEach((end) => end());
  };
}
