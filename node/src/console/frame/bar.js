/** The bar above every page: which device this is, its pages, and the line that says how it stands. */

import { html, nothing } from '../vendor/lit-html/lit-html.js';
import { connection, resource } from './live.js';
import { PAGES } from './pages.js';
import { settings } from './settings.js';
import { t, time } from './text.js';
import { words } from './ui.js';

let health = null;

/** What is known of this device's health: looked up seldom, and at once when something happens that it is about. */
function worst() {
  if (!health) {
    health = resource('/v1/health/list', ['incident', 'incident_settled', 'unreachable', 'reachable', 'reset'], 30_000);
    health.watch(() => {});
  }
  return health.data?.worst ?? 'ok';
}

function line(status) {
  if (connection.state === 'lost') {
    const why = connection.problem ? words(connection.problem) : '';
    return html`<div class="state lost" role="status"><span>${t('frame.reconnecting', { since: time(connection.since) })} ${why}</span></div>`;
  }
  let text = t('frame.starting');
  if (status) {
    const others = status.reachable - 1;
    if (status.devices <= 1) text = t('frame.only');
    else text = others === 0 ? t('frame.alone') : t('frame.linked', { count: others });
  }
  return html`<div class="state" role="status"><span>${text}</span></div>`;
}

function link(one, current) {
  const mark = one.name === 'health' ? worst() : 'ok';
  return html`<a href="#/${one.name}" aria-current=${current === one.name ? 'page' : nothing}>
    <span>${t(`${one.name}.name`)}</span>${mark === 'ok' ? nothing
    : html`<b class="mark ${mark}" aria-hidden="true">!</b><span class="hidden">${t(`frame.health_${mark}`)}</span>`}</a>`;
}

/** Draws it; `page` is the one that is shown, `speak` changes the language. */
export function bar({ status, page, speak }) {
  const roles = status?.device.roles ?? [];
  const mine = PAGES.filter((one) => !one.roles || one.roles.some((role) => roles.includes(role)));
  return html`<header class="bar">
      <div class="who"><b>${status?.device.name ?? 'popmesh'}</b>
        <span>${status ? `${status.event_name} · ${status.device.venue}` : ''}</span></div>
      <nav aria-label=${t('frame.pages')}>${mine.map((one) => link(one, page))}</nav>
      <button class="plain menu" aria-haspopup="dialog" aria-label=${t('frame.settings')} @click=${() => settings(speak)}>
        <svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true"><path d="M4 7h9M19 7h1M4 17h3M13 17h7" /><circle cx="16" cy="7" r="2.6" /><circle cx="10" cy="17" r="2.6" /></svg>
      </button>
    </header>
    ${line(status)}`;
}
