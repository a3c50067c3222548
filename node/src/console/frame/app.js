/** The console: finds out which device this is, shows its pages, and says how it stands. */

import { html, nothing, render } from '../vendor/lit-html/lit-html.js';
import { Problem, Silence, get, pair, tie, token } from './api.js';
import { connection, onConnection, resource, run } from './live.js';
import { PAGES, first } from './pages.js';
import { LANGUAGES, language, load, t, time, useCurrency, wanted } from './text.js';
import { words } from './ui.js';

const THEME = 'popmesh.theme';
const DEVICE = 'popmesh.device';
const root = document.getElementById('app');
let status = null;
let page = null;

/** What each page is given: where it draws, and what the device is. */
function frame(place) {
  return { root: place, status: () => status, go };
}

/** Goes to a page by its name. */
function go(name) {
  location.hash = `#/${name}`;
}

function theme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
}

function wantedPage() {
  const name = location.hash.replace(/^#\//, '').split('/')[0];
  return PAGES.some((one) => one.name === name) ? name : first(status?.device.roles ?? []);
}

function state() {
  if (connection.state === 'lost') {
    const why = connection.problem ? words(connection.problem) : '';
    return html`<div class="state lost" role="status">${t('frame.reconnecting', { since: time(connection.since) })} ${why}</div>`;
  }
  if (!status) return html`<div class="state" role="status">${t('frame.starting')}</div>`;
  const others = status.reachable - 1;
  const alone = status.devices > 1 && others === 0;
  return html`<div class="state" role="status">${alone ? t('frame.alone') : t('frame.linked', { count: others })}</div>`;
}

function draw() {
  const roles = status?.device.roles ?? [];
  const current = page?.name;
  render(html`
    <header class="bar">
      <div class="who">${status?.device.name ?? 'popmesh'}</div>
      <div class="where">${status ? `${status.event_name} · ${status.device.venue}` : ''}</div>
      <nav aria-label=${t('frame.pages')}>
        ${PAGES.filter((one) => one.roles.some((role) => roles.includes(role))).map((one) => html`
          <a href="#/${one.name}" aria-current=${current === one.name ? 'page' : nothing}>${t(`${one.name}.name`)}</a>`)}
      </nav>
    </header>
    ${state()}
    <main id="page"></main>
    <div class="toasts" role="status" aria-live="polite"></div>`, root);
}

async function show() {
  const name = wantedPage();
  if (page?.name === name) return;
  page?.stop?.();
  page = { name };
  draw();
  const place = document.createElement('div');
  document.getElementById('page').replaceChildren(place);
  document.title = `${t(`${name}.name`)} · ${status?.device.name ?? 'popmesh'}`;
  const module = await import(`../pages/${name}/page.js`);
  if (page.name === name) page.stop = module.start(frame(place));
}

async function identify() {
  for (;;) {
    try {
      const said = await get('/v1/status');
      const known = sessionStorage.getItem(DEVICE);
      if (known && known !== said.device.device) sessionStorage.clear();
      sessionStorage.setItem(DEVICE, said.device.device);
      tie(said.device.device);
      useCurrency(said.currency);
      status = said;
      return;
    } catch (error) {
      if (error instanceof Problem && error.status === 401) {
        pair(null);
        const { ask } = await import('./pairing.js');
        await ask(root, error);
        continue;
      }
      render(html`<main><div class="note warn" role="status">${error instanceof Silence ? t('frame.nobody_answers') : words(error)}</div></main>`, root);
      await new Promise((done) => { setTimeout(done, 1000); });
    }
  }
}

/** A token that came in the address is kept and taken out of it: it never reaches a server or the history. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!given) return;
  pair(given);
  history.replaceState(null, '', location.pathname);
}

async function begin() {
  theme(localStorage.getItem(THEME));
  takeToken();
  await load(wanted());
  await identify();
  const live = resource('/v1/status', ['*'], 5000);
  live.watch(() => {
    if (live.data) status = live.data;
    draw();
  });
  onConnection(draw);
  window.addEventListener('hashchange', show);
  setInterval(draw, 30_000);
  draw();
  run();
  await show();
}

/** Shows everything anew in another language. */
export async function speak(name) {
  await load(name, true);
  const was = page?.name;
  page?.stop?.();
  page = null;
  if (was) await show();
}

/** Light, dark or high contrast; what the system says without a name. */
export function dress(name) {
  if (name) localStorage.setItem(THEME, name);
  else localStorage.removeItem(THEME);
  theme(name);
}

export { LANGUAGES, language, token };

begin();
