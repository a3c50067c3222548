/** Parts that every page uses: questions before dangerous acts, short words after an act, problems in words, QR codes. */

import { html, nothing, render } from '../vendor/lit-html/lit-html.js';
import { repeat } from '../vendor/lit-html/directives/repeat.js';
import { encode } from '../vendor/uqr/uqr.js';
import { Problem, Silence } from './api.js';
import { has, t } from './text.js';

export { html, nothing, render, repeat };

/** A problem in the person's language: the text under `problems.<code>` if there is one, else what the API said. */
export function words(error) {
  if (error instanceof Problem) {
    const key = `problems.${error.code}`;
    return has(key) ? t(key, error.facts) : error.message;
  }
  if (error instanceof Silence) return t('frame.nobody_answers');
  return String(error?.message ?? error);
}

const shown = [];

function showToasts() {
  const box = document.querySelector('.toasts');
  if (box) render(repeat(shown, (one) => one.id, (one) => html`<div class="note ${one.kind}">${one.text}</div>`), box);
}

/** Says something for some seconds; `kind` is `good`, `bad`, `warn` or none. Read out by screen readers. */
export function toast(text, kind = '') {
  const one = { id: Symbol('toast'), text, kind };
  shown.push(one);
  showToasts();
  setTimeout(() => {
    shown.splice(shown.indexOf(one), 1);
    showToasts();
  }, kind === 'bad' ? 8000 : 4000);
}

/**
 * Opens a dialog with what `body(close)` draws; resolves with what `close` is given, or `undefined` if it was left. `redraw` is
 * handed to the body to draw itself again.
 */
export function dialog(title, body) {
  return new Promise((resolve) => {
    const box = document.createElement('dialog');
    box.setAttribute('aria-labelledby', 'dialog-title');
    let answer;
    const close = (value) => {
      answer = value;
      box.close();
    };
    const redraw = () => render(html`<div class="stack"><h2 id="dialog-title">${title}</h2>${body(close, redraw)}</div>`, box);
    box.addEventListener('close', () => {
      box.remove();
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

const WEDGE_MS = 60;

/**
 * Hears a scanner that types (a wedge): characters that come fast and end with Enter, wherever the focus is but in a text
 * field. Calls back with the text; ends with what it returns.
 */
export function onScan(call) {
  let text = '';
  let at = 0;
  const hear = (event) => {
    if (event.target.closest?.('input, textarea, select, dialog')) return;
    const now = performance.now();
    if (now - at > WEDGE_MS) text = '';
    at = now;
    if (event.key === 'Enter' && text.length >= 3) {
      event.preventDefault();
      call(text);
      text = '';
    } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
      text += event.key;
    }
  };
  document.addEventListener('keydown', hear, true);
  return () => document.removeEventListener('keydown', hear, true);
}
