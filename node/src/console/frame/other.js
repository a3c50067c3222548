/** What is shown when another device answers at this address than the one that this browser knows here. */

import { html, render } from '../vendor/lit-html/lit-html.js';
import { forgetAll } from './acts.js';
import { get, tie, unanswered } from './api.js';
import { know, pair, token } from './keeps.js';
import { t } from './text.js';

/** How often it looks whether the right one is back, milliseconds. */
const LOOK = 5000;

/** Asks what to do; resolves when the device is back, or when the person begins anew with the other one. Nothing is forgotten before. */
export function ask(root, problem, before) {
  return new Promise((done) => {
    const begun = unanswered().length;
    const look = setInterval(async () => {
      const said = await get('/v1/status', { knock: true }).catch(() => null);
      if (said) end();
    }, LOOK);
    const end = () => {
      clearInterval(look);
      done();
    };
    const anew = () => {
      forgetAll();
      pair(null);
      know(null);
      tie(null);
      end();
    };
    render(html`<main id="page" class="alone"><div class="card stack" role="alert">
      <h1>${t('frame.other_title')}</h1>
      <p>${t('frame.other_text', { name: before?.name ?? '?' })}</p>
      <p class="small">${problem.message}</p>
      <p>${t('frame.other_anew')} ${token() ? t('frame.other_token') : ''} ${begun ? t('frame.other_begun', { count: begun }) : ''}</p>
      <div class="row end"><button class="danger" @click=${anew}>${t('frame.other_yes')}</button></div>
      <p class="small">${t('frame.other_waits', { name: before?.name ?? '?' })}</p>
    </div></main>`, root);
  });
}
