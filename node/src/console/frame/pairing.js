/** The page of a tablet that has no good token yet. */

import { html, render } from '../vendor/lit-html/lit-html.js';
import { pair } from './api.js';
import { t } from './text.js';
import { words } from './ui.js';

/** Asks for a token; resolves when one was given. */
export function ask(root, problem) {
  return new Promise((done) => {
    const take = (event) => {
      event.preventDefault();
      const text = new FormData(event.target).get('token').trim();
      if (!text) return;
      pair(text.replace(/^.*#token=/, ''));
      done();
    };
    render(html`<main><form class="card stack" @submit=${take}>
      <h1>${t('frame.pair_title')}</h1>
      <p>${t('frame.pair_text')}</p>
      <p class="small">${words(problem)}</p>
      <label><span>${t('frame.pair_token')}</span><input name="token" autocomplete="off" autocapitalize="off" spellcheck="false"></label>
      <div class="row end"><button class="primary">${t('frame.pair')}</button></div>
    </form></main>`, root);
  });
}
