/** Parts that every page uses: questions before dangerous acts, short words after an act, problems in words, QR codes. */

import { html, nothing, render } from '../vendor/lit-html/lit-html.js';
import { repeat } from '../vendor/lit-html/directives/repeat.js';
import { encode } from '../vendor/uqr/uqr.js';
import { Problem, Silence } from './api.js';
import { has, t } from './text.js';

export { html, nothing, render, repeat };
export { onScan } from './scan.js';

/** A problem in the person's language: the text under `problems.<code>` if there is one, else what the API said. */
export function words(error) {
  if (error instanceof Problem) {
    const key = `problems.${error.code}`;
    return has(key) ? t(key, error.facts) : error.message;
  }
  if (error instanceof Silence) return t('frame.nobody_answers');
  return String(error?.message ?? error);
}

/** How long a finger may rest on the screen before news is drawn all the same, milliseconds. */
const FINGER = 1500;
const waiting = new Set();
let down = 0;
let frameAsked = false;

function drawAll() {
  frameAsked = false;
  // Nothing moves between a finger's going down and its coming up.
  if (down && performance.now() - down < FINGER) {
    setTimeout(ask, 100);
    return;
  }
  const now = [...waiting];
  waiting.clear();
  for (const draw of now) {
    try {
      draw();
    } catch (error) {
      reportError(error);
    }
  }
}

function ask() {
  if (!frameAsked && waiting.size > 0) {
    frameAsked = true;
    // A page that is not looked at gets no frames, and is to be right when it is looked at again.
    if (document.hidden) setTimeout(drawAll, 0);
    else requestAnimationFrame(drawAll);
  }
}

document.addEventListener('pointerdown', () => { down = performance.now(); }, true);
for (const kind of ['pointerup', 'pointercancel']) {
  // The click comes after it, and finds its button where it was.
  document.addEventListener(kind, () => setTimeout(() => { down = 0; ask(); }, 0), true);
}

/**
 * Makes of a function that draws one that may be called as often as there is news: it draws once a frame, and never while a finger
 * is down on the screen. What a person did is drawn at once, by calling `draw` itself.
 */
export function drawer(draw) {
  return () => {
    waiting.add(draw);
    ask();
  };
}

const shown = [];

function showToasts() {
  for (const box of document.querySelectorAll('.toasts')) {
    render(repeat(shown, (one) => one.id, (one) => html`<div class="note ${one.kind}">${one.text}</div>`), box);
  }
}

/** Says something for some seconds; `kind` is `good`, `bad`, `warn` or none. Read out by screen readers. */
export function toast(text, kind = '', ms = kind === 'bad' || kind === 'warn' ? 8000 : 4000) {
  const one = { id: Symbol('toast'), text, kind };
  shown.push(one);
  if (shown.length > 4) shown.shift();
  showToasts();
  setTimeout(() => {
    const at = shown.indexOf(one);
    if (at >= 0) shown.splice(at, 1);
    showToasts();
  }, ms);
}

let dialogs = 0;

/**
 * Opens a dialog with what `body(close)` draws; resolves with what `close` is given, or `undefined` if it was left. `redraw` is
 * handed to the body to draw itself again. Escape leaves it; the focus goes back to where it was.
 */
export function dialog(title, body) {
  return new Promise((resolve) => {
    const box = document.createElement('dialog');
    const id = `dialog-${(dialogs += 1)}`;
    const before = document.activeElement;
    box.setAttribute('aria-labelledby', id);
    let answer;
    const close = (value) => {
      answer = value;
      box.close();
    };
    const redraw = () => render(html`<div class="stack"><h2 id=${id}>${title}</h2>${body(close, redraw)}</div>
      <div class="toasts" role="status" aria-live="polite"></div>`, box);
    box.addEventListener('close', () => {
      box.remove();
      // Where it was may have been drawn anew in the meantime.
      (before?.isConnected && before !== document.body ? before : document.getElementById('page'))?.focus();
      showToasts();
      resolve(answer);
    });
    redraw();
    document.body.append(box);
    box.showModal();
  });
}

/** Asks before something that cannot be taken back: what will happen, and the act by its name. */
export function confirm({ title, text, yes, danger = true }) {
  return dialog(title, (close) => html`
    <p>${text}</p>
    <div class="row end">
      <button @click=${() => close(false)}>${t('frame.cancel')}</button>
      <button class=${danger ? 'danger' : 'primary'} @click=${() => close(true)}>${yes}</button>
    </div>`).then(Boolean);
}

/** A QR code as an image; `label` is what it says to who cannot see it. */
export function qr(text, label) {
  const { data, size } = encode(text, { border: 4, ecc: 'M' });
  let path = '';
  data.forEach((row, y) => row.forEach((dark, x) => { if (dark) path += `M${x} ${y}h1v1h-1z`; }));
  return html`<svg class="qr" role="img" aria-label=${label} viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges">
    <rect width=${size} height=${size} fill="#fff"></rect><path d=${path} fill="#000"></path></svg>`;
}

const looks = new Map();

/** Loads a stylesheet once; resolves when what it dresses may be drawn. The frame does it for each page's own `page.css`. */
export function stylesheet(href) {
  if (!looks.has(href)) looks.set(href, dressed(href));
  return looks.get(href);
}

function dressed(href) {
  return new Promise((done) => {
    const link = document.createElement('link');
    link.rel = 'stylesheet';
    link.href = href;
    link.addEventListener('load', done);
    // Without its looks it can still be used.
    link.addEventListener('error', done);
    document.head.append(link);
  });
}
