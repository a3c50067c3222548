/** The page of a tablet that has no good token yet. */

import { html, nothing, render } from '../vendor/lit-html/lit-html.js';
import { pair, token } from './keeps.js';
import { t } from './text.js';
import { words } from './ui.js';

/** The token in what a person pasted: the token itself, or the whole address that the code stands for. */
const read = (text) => text.trim().replace(/^.*[#&]token=/, '').replace(/&.*$/, '');

/** Asks for a token; resolves when one was given. */
export function ask(root, problem) {
  return new Promise((done) => {
    const own = location.protocol === 'http:';
    const take = (event) => {
      event.preventDefault();
      const text = read(new FormData(event.target).get('token'));
      if (!text) return;
      pair(text);
      done();
    };
    const without = () => {
      pair(null);
      done();
    };
    const again = () => done();
    const why = problem.code === 'token_needed' ? nothing : html`<p class="note warn" role="alert">${words(problem)}</p>`;
    render(html`<main id="page" class="alone"><form class="card stack" @submit=${take}>
      <h1>${t('frame.pair_title')}</h1>
      ${why}
      <p>${t('frame.pair_text')}</p>
      <label><span>${t('frame.pair_token')}</span><input name="token" required autocomplete="off" autocapitalize="off" spellcheck="false"></label>
      <div class="row end">
        ${token() ? html`<button type="button" @click=${again}>${t('frame.pair_again')}</button>` : nothing}
        ${own ? html`<button type="button" @click=${without}>${t('frame.pair_without')}</button>` : nothing}
        <button class="primary">${t('frame.pair')}</button></div>
    </form></main>`, root);
  });
}
