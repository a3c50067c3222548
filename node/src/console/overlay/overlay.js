/** The overlay for OBS: what it shows is what `/v1/drops/{drop}/board` says, and nothing else. */

import { Problem, get, pair } from '../frame/api.js';
import { keepFiles } from '../frame/files.js';
import { LANGUAGES, has, load, number, t, time } from '../frame/text.js';
import { read } from './look.js';
import { SILENT_MS, words } from './words.js';

/** How often it asks, and how long it waits for an answer, milliseconds: what is new is seen within two seconds. */
const EVERY_MS = 500;
const ANSWER_MS = 1500;
const TICK_MS = 250;
/** After how long a token that was refused is tried again: somebody may have put another into the address. */
const TOKEN_MS = 60_000;

const root = document.getElementById('overlay');
const asked = read(new URLSearchParams(location.search));
const say = { t, number, time };
/** What was heard last, and when: by the page's own steady clock. */
let heard = null;
let problem = null;
let drop = asked.drop;
let drawn = '';

function make(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children.filter((child) => child !== null && child !== ''));
  return element;
}

/** A text whose number is large. */
function figure(name, [before, count, after], note = '') {
  const line = make('p', name, before, count ? make('b', '', count) : '', after);
  if (note) line.append(' ', make('span', 'note', note));
  return line;
}

function body(said) {
  const counts = [
    said.announced && figure('announced', said.announced),
    said.claimed && figure('claimed', said.claimed),
    said.percent && make('p', 'percent', said.percent),
    said.left && figure(said.left.sold ? 'left sold' : 'left', said.left.text, said.left.note),
    said.back && make('p', 'back', said.back),
  ].filter(Boolean);
  const skus = said.skus.map((sku) => make('li', '', make('span', 'sku', sku.name),
    sku.claimed ? figure('claimed', sku.claimed) : '',
    sku.left ? figure(sku.left.sold ? 'left sold' : 'left', sku.left.text) : ''));
  return [
    make('div', 'logo'),
    said.title || said.badge ? make('div', 'head', said.title ? make('h1', 'title', said.title) : '',
      said.badge ? make('p', `badge ${said.badge.kind}`, said.badge.text) : '') : null,
    counts.length ? make('div', 'counts', ...counts) : null,
    skus.length ? make('ul', 'skus', ...skus) : null,
    said.countdown ? make('p', 'countdown', said.countdown) : null,
    said.voided ? make('p', 'note', said.voided) : null,
    said.note ? make('p', 'note', said.note) : null,
  ].filter(Boolean);
}

/** Words for whoever sets it up, while there is nothing to show. */
function setup() {
  if (!problem) return null;
  const code = problem.status === 401 ? 'token' : problem.code;
  return has(`overlay.problem_${code}`) ? t(`overlay.problem_${code}`, { drop }) : problem.message;
}

function draw() {
  const silentMs = heard ? performance.now() - heard.at : Infinity;
  // A refusal is the present state of things; what was heard before is none.
  const refused = problem && silentMs >= SILENT_MS;
  const said = heard && !refused ? words(heard.board, { silentMs, show: asked.show, say }) : null;
  const hint = said ? null : refused ? setup() : null;
  const now = JSON.stringify([said, hint]);
  if (now === drawn) return;
  drawn = now;
  root.className = said ? `card ${said.kind}${said.silent ? ' silent' : ''}` : hint ? 'card setup' : '';
  root.replaceChildren(...(said ? body(said) : hint ? [make('p', 'note', hint)] : []));
}

/** The one drop that is not over, where the address names none. */
async function choose(ask) {
  const { items } = await ask('/v1/drops?limit=1000');
  const live = items.filter((one) => one.state !== 'closed');
  if (live.length === 1) return live[0].drop;
  if (items.length === 1) return items[0].drop;
  throw new Problem(0, { code: 'which_drop' });
}

async function look() {
  const ask = (path) => get(path, { patience: ANSWER_MS });
  try {
    const which = drop ?? await choose(ask);
    const begun = performance.now();
    const board = await ask(`/v1/drops/${encodeURIComponent(which)}/board`);
    drop = which;
    heard = { board, at: begun };
    problem = null;
  } catch (error) {
    // A node that is being started says so; that is no news of the drop.
    if (!(error instanceof Problem) || error.status >= 500) return;
    problem = error;
  }
}

async function follow() {
  for (;;) {
    const begun = performance.now();
    await look();
    draw();
    if (problem?.status === 401) {
      // Nothing is asked with it any more: a node shuts out an address that goes on showing it a bad token.
      setTimeout(() => location.reload(), TOKEN_MS);
      return;
    }
    await new Promise((done) => { setTimeout(done, Math.max(50, EVERY_MS - (performance.now() - begun))); });
  }
}

function dress() {
  for (const [name, value] of asked.look) document.documentElement.style.setProperty(name, value);
  if (asked.logo) document.documentElement.style.setProperty('--overlay-logo', `url(${JSON.stringify(asked.logo)})`);
}

/** As in the console: a token comes in the fragment, which reaches no server. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!given) return;
  pair(given);
  history.replaceState(null, '', location.pathname + location.search);
}

async function speak() {
  const browser = navigator.languages.map((one) => one.slice(0, 2));
  const name = [asked.lang, ...browser].find((one) => one in LANGUAGES) ?? 'en';
  for (;;) {
    try {
      await load(name);
      return;
    } catch {
      await new Promise((done) => { setTimeout(done, EVERY_MS); });
    }
  }
}

takeToken();
dress();
await speak();
setInterval(draw, TICK_MS);
follow();
// After a power cut OBS may be there before the node is: then its browser has the page, and waits.
keepFiles();
