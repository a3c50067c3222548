/** The console: finds out which device this is, shows its pages, and says how it stands. */

import { html, nothing, render } from '../vendor/lit-html/lit-html.js';
import { Problem, Silence, get, onShut, tie } from './api.js';
import { bar } from './bar.js';
import { keepFiles, newer, noteRelease, preload } from './files.js';
import { know, known, pair, theme } from './keeps.js';
import { onConnection, onWaiting, resource, run } from './live.js';
import { PAGES, first } from './pages.js';
import { dress } from './settings.js';
import { load, t, useCurrency, wanted } from './text.js';
import { drawer, stylesheet, words } from './ui.js';

const STATUS = ['reachable', 'unreachable', 'retired', 'left', 'programme_changed', 'incident', 'incident_settled', 'voided', 'reset'];
const root = document.getElementById('app');
const onStatus = new Set();
let status = null;
let page = null;
let shut = false;
let busy = false;

/** What each page is given: where it draws, what the device is (and news of that), and the way to another page. */
function frame(place) {
  return {
    root: place,
    status: () => status,
    onStatus: (call) => {
      onStatus.add(call);
      return () => onStatus.delete(call);
    },
    go,
  };
}

/** Goes to a page by its name. */
function go(name) {
  location.hash = `#/${name}`;
}

const expected = new Set();

/** Asks for all of a page at once, before it is shown. */
function expect(name) {
  const page = PAGES.find((one) => one.name === name);
  if (!page || expected.has(name)) return;
  expected.add(name);
  preload(page.modules);
  stylesheet(`/pages/${name}/page.css`);
}

function wantedPage() {
  const name = location.hash.replace(/^#\//, '').split('/')[0];
  return PAGES.some((one) => one.name === name) ? name : first(status?.device.roles ?? []);
}

function skip(event) {
  event.preventDefault();
  document.getElementById('page').focus();
}

function draw() {
  if (shut) return;
  render(html`
    <a class="skip" href="#page" @click=${skip}>${t('frame.skip')}</a>
    ${bar({ status, page: page?.name, speak })}
    <main id="page" tabindex="-1" aria-busy=${busy}></main>
    <div class="toasts" role="status" aria-live="polite"></div>`, root);
}

const news = drawer(draw);

/** Says whether the page still waits for what it shows: at once when it begins, and with the drawing that ends it. */
const markBusy = () => document.getElementById('page')?.setAttribute('aria-busy', busy);
const markSoon = drawer(markBusy);
function busied(now) {
  busy = now;
  if (now) markBusy();
  else markSoon();
}

/** Puts a page in the place of the one before. */
async function show() {
  const name = wantedPage();
  if (shut || page?.name === name) return;
  const came = page !== null;
  // Files of two releases do not go together: the page begins again with those of now.
  if (came && await newer()) {
    location.reload();
    return;
  }
  page?.stop?.();
  const now = { name };
  page = now;
  draw();
  expect(name);
  const main = document.getElementById('page');
  const place = document.createElement('div');
  main.replaceChildren(place);
  document.title = `${t(`${name}.name`)} · ${status?.device.name ?? 'popmesh'}`;
  if (came) main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
  try {
    const looks = stylesheet(`/pages/${name}/page.css`);
    now.module = await import(`../pages/${name}/page.js`);
    await looks;
    if (page === now) now.stop = now.module.start(frame(place));
  } catch (error) {
    if (page !== now) return;
    reportError(error);
    page = { name: null };
    const again = () => location.reload();
    render(html`<div class="note bad stack" role="alert"><p>${t('frame.page_failed')}</p>
      <p class="small">${String(error?.message ?? error)}</p>
      <div class="row"><button @click=${again}>${t('frame.load_again')}</button></div></div>`, place);
  }
}

/** Asks the device who it is, before there are texts to say anything in. */
function knock() {
  const before = known();
  if (before) tie(before.device);
  const asked = get('/v1/status', { knock: true });
  asked.then((said) => { if (!location.hash) expect(first(said.device.roles)); }, () => {});
  return asked;
}

async function identify(asked = null) {
  const before = known();
  if (before) tie(before.device);
  for (;;) {
    try {
      take(await (asked ?? get('/v1/status', { knock: true })));
      return;
    } catch (error) {
      asked = null;
      if (error instanceof Problem && error.status === 401) {
        await (await import('./pairing.js')).ask(root, error);
      } else if (error instanceof Problem && error.code === 'other_device') {
        await (await import('./other.js')).ask(root, error, before);
      } else {
        const text = error instanceof Silence ? t('frame.nobody_answers') : words(error);
        render(html`<main id="page"><div class="note warn" role="status">${text}</div></main>`, root);
        await new Promise((done) => { setTimeout(done, 1000); });
      }
    }
  }
}

function take(said) {
  status = said;
  const device = { device: said.device.device, name: said.device.name };
  tie(device.device);
  if (known()?.device !== device.device || known()?.name !== device.name) know(device);
  useCurrency(said.currency);
}

/** This page may not go on: it asks for what it needs, and then begins anew. */
async function stop() {
  if (shut) return;
  shut = true;
  page?.stop?.();
  page = null;
  document.querySelectorAll('dialog[open]').forEach((one) => one.close());
  render(nothing, root);
  await identify();
  // Whatever was known is of the time before.
  location.reload();
}

/** A token that came in the address is kept and taken out of it: it never reaches a server or the history. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.get('token')) return;
  pair(given.get('token'));
  const to = PAGES.some((one) => one.name === given.get('page')) ? `#/${given.get('page')}` : '';
  history.replaceState(null, '', location.pathname + to);
}

/** Shows everything anew in another language. */
async function speak(name) {
  await load(name, true);
  page?.stop?.();
  page = null;
  await show();
}

async function texts() {
  for (;;) {
    try {
      await load(wanted());
      return;
    } catch {
      await new Promise((done) => { setTimeout(done, 1000); });
    }
  }
}

async function begin() {
  dress(theme());
  takeToken();
  expect(location.hash.replace(/^#\//, '').split('/')[0]);
  const asked = knock();
  await texts();
  noteRelease();
  await identify(asked);
  onShut(stop);
  const live = resource('/v1/status', STATUS, 5000);
  live.watch(() => {
    if (!live.data) return;
    take(live.data);
    news();
    onStatus.forEach((call) => call(status));
  });
  onConnection(news);
  onWaiting(busied);
  // A token that is given to a tab that is open already: another code was scanned.
  window.addEventListener('hashchange', () => {
    const had = location.hash.includes('token=');
    takeToken();
    if (had) location.reload();
    else show();
  });
  setInterval(news, 30_000);
  draw();
  run();
  await show();
  keepFiles();
  const { finishAll } = await import('./again.js');
  await finishAll(() => page?.module);
}

begin();
