/** The page health: what is wrong, in words and with the next step, how this device does, and how tablets are connected to it. */

import { resource } from '../../frame/live.js';
import { age, format, number, t, time } from '../../frame/text.js';
import { drawer, html, nothing, render, repeat, words } from '../../frame/ui.js';
import { connect } from './connect.js';
import { away, byCause, told } from './findings.js';

const SIGNS = { act: '!', look: '!', ok: '✓' };
const NOTES = { act: 'bad', look: 'warn', ok: 'good' };
const LINKS = ['reachable', 'unreachable', 'retired', 'left', 'reset'];

function sign(severity) {
  return html`<span class="sign ${severity}" aria-hidden="true">${SIGNS[severity]}</span><span class="hidden">${t(`health.severity.${severity}`)}: </span>`;
}

/** What it all comes to. */
function verdict(list, groups) {
  if (list.error && !list.data) {
    return html`<div class="verdict note warn" role="status"><p>${t('health.unknown', { why: words(list.error) })}</p></div>`;
  }
  if (!list.data) return html`<div class="verdict note" role="status"><p>${t('health.checking')}</p></div>`;
  const { worst } = list.data;
  const count = groups.filter(({ head }) => head.severity === worst).length;
  const title = worst === 'ok' ? t('health.fine') : t(`health.${worst}`, { count });
  const text = worst === 'ok' ? t('health.fine_text', { count: groups.length }) : t(`health.${worst}_text`);
  return html`<div class="verdict note ${NOTES[worst]}" role="status">
    ${sign(worst)}
    <div><strong>${title}</strong><p>${text}</p><p class="small">${t('health.as_of', { time: time(list.data.as_of_ms) })}</p></div></div>`;
}

/** Words with what is typed between backticks. */
const typed = (text) => text.split('`').map((part, at) => (at % 2 ? html`<code>${part}</code>` : part));

const since = (ms) => html`<span class="small since">${t('health.since', { time: time(ms) })} (${age(ms)})</span>`;

function finding({ head: one, away: devices }) {
  const { text, next } = told(one);
  const ok = one.severity === 'ok';
  return html`<li class="finding ${one.severity}">${ok ? sign('ok') : nothing}<div>
    ${ok ? nothing : html`<p class="kind ${one.severity}">${t(`health.severity.${one.severity}`)}</p>`}
    <p class="what">${text} ${one.since_ms ? since(one.since_ms) : nothing}</p>
    ${next ? html`<p class="next"><b>${t('health.next')}</b> ${typed(next)}</p>` : nothing}
    ${devices.length ? html`<p class="next"><b>${t('health.away_list')}</b></p><ul class="bare away">${repeat(devices, key, (device) => html`<li>${away(device)} ${device.since_ms ? since(device.since_ms) : nothing}</li>`)}</ul>` : nothing}</div></li>`;
}

const keyOf = ({ head }) => key(head);
const key = (one) => `${one.code} ${one.device ?? ''} ${one.params?.path ?? ''}`;

/** What there is to know of the device itself: `[name, value, severity]`. */
function facts(status, store, mesh) {
  if (!status) return [];
  const { device } = status;
  const left = device.certificate_until_ms - Date.now();
  const rows = [
    ['device', `${device.name} · ${device.roles.join(', ')} · ${device.device.slice(0, 8)}`],
    ['event', `${status.event_name} · ${device.venue}`],
    ['certificate', t('health.until', { time: time(device.certificate_until_ms) }), left < 0 ? 'act' : left < 86_400_000 ? 'look' : 'ok'],
    ['reach', t('health.of', { here: status.reachable, all: status.devices })],
  ];
  if (mesh) {
    const links = mesh.edges.filter((edge) => edge.a === device.device || edge.b === device.device).length;
    rows.push(['links', mesh.links_on ? t('health.links_on', { count: links }) : t('health.links_off'), mesh.links_on ? 'ok' : 'look']);
  }
  rows.push(['store', store.error ? t('health.not_stored', { why: words(store.error) }) : t('health.stored'), store.error ? 'act' : 'ok']);
  rows.push(
    ['entries', number(status.entries)],
    ['clock', format('DateTimeFormat', { dateStyle: 'medium', timeStyle: 'medium' }).format(Date.now()), status.clocks_apart ? 'look' : 'ok'],
    ['past', status.past_unknown ? t('health.past_unknown') : t('health.past_known'), status.past_unknown ? 'act' : 'ok'],
    ['secret', status.secret.lacks_newest ? t('health.secret_old') : t('health.secret_newest'), status.secret.lacks_newest ? 'look' : 'ok'],
  );
  if (status.last_receipt) rows.push(['receipt', String(status.last_receipt)]);
  return rows;
}

function fact([name, value, severity = 'ok']) {
  return html`<div class="fact"><dt>${t(`health.facts.${name}`)}</dt><dd>${severity === 'ok' ? nothing : sign(severity)}${value}</dd></div>`;
}

/** Draws the page into `frame.root`; what it returns ends it. */
export function start(frame) {
  const list = resource('/v1/health/list', ['incident', 'incident_settled', 'door', ...LINKS], 5000);
  const store = resource('/v1/health', ['reset'], 5000);
  const mesh = resource('/v1/mesh', LINKS, 5000);
  const tablets = connect(() => draw());
  let ended = false;

  const page = () => {
    if (ended) return;
    const items = list.data?.items ?? [];
    const groups = byCause(items);
    const wrong = groups.filter(({ head }) => head.severity !== 'ok');
    const fine = groups.filter(({ head }) => head.severity === 'ok');
    render(html`<div class="health stack">
      <h1>${t('health.name')}</h1>
      ${verdict(list, groups)}
      ${wrong.length === 0 ? nothing : html`<ul class="bare stack">${repeat(wrong, keyOf, finding)}</ul>`}
      ${fine.length === 0 ? nothing : html`<details class="card"><summary>${t('health.all_fine')} (${fine.length})</summary>
        <ul class="bare fine">${repeat(fine, keyOf, finding)}</ul></details>`}
      <section class="card stack" aria-labelledby="health-now"><h2 id="health-now">${t('health.now')}</h2>
        <dl class="facts">${facts(frame.status(), store, mesh.data).map(fact)}</dl></section>
      ${tablets.draw()}
    </div>`, frame.root);
  };
  const draw = drawer(page);
  const ends = [list, store, mesh].map((one) => one.watch(draw));
  ends.push(frame.onStatus?.(draw) ?? (() => {}));
  tablets.start();
  page();
  return () => {
    ended = true;
    ends.forEach((end) => end());
  };
}
