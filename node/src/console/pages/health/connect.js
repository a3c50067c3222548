/** Connecting tablets: a token as a code to scan, the list of those that there are, and how a tablet comes to trust this device. */

import { Problem, act, get, headers } from '../../frame/api.js';
import { resource } from '../../frame/live.js';
import { ownScope } from '../../frame/rights.js';
import { number, t, time } from '../../frame/text.js';
import { confirm, dialog, html, nothing, qr, repeat, toast, words } from '../../frame/ui.js';

const SCOPES = ['till', 'locker', 'encoder', 'manager', 'read-only'];
/** The page that a tablet of a scope begins with. */
const PAGES = { till: 'till', locker: 'desk', encoder: 'encoder', manager: 'till', 'read-only': 'health' };
const HOURS = [4, 12, 24, 72];
const HOUR_MS = 3_600_000;

/** A fingerprint in pairs, so that two people can read it to each other. */
const pairs = (hex) => hex.toUpperCase().match(/../g).join(' ');

async function save(path, name) {
  const answer = await fetch(path, { headers: headers(), cache: 'no-store' });
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const take = (path, name) => () => save(path, name).catch((error) => toast(words(error), 'bad'));

/** The part of the page: `start` looks up whether this caller may connect tablets, `draw` gives what is shown. */
export function connect(redraw) {
  const tokens = resource('/v1/tokens?limit=100', ['reset']);
  let access = null;

  async function start() {
    try {
      // A token of a scope may not: then there is nothing to show.
      if (await ownScope() !== null) return;
      access = await get('/v1/access');
    } catch {
      return;
    }
    tokens.watch(redraw);
    redraw();
  }

  async function ask() {
    let scope = SCOPES[0];
    const made = await dialog(t('connect.new'), (close, again) => html`
      <form class="stack" @submit=${(event) => { event.preventDefault(); close(new FormData(event.target)); }}>
        <fieldset><legend>${t('connect.scope')}</legend>${SCOPES.map((one) => html`<label class="choice">
          <input type="radio" name="scope" value=${one} .checked=${one === scope} @change=${() => { scope = one; again(); }}>
          <span>${t(`connect.scopes.${one}`)}</span></label>`)}</fieldset>
        <label><span>${t('connect.label')}</span><input name="name" maxlength="40" autocomplete="off"></label>
        <label><span>${t('connect.hours')}</span><select name="hours">${HOURS.map((one) => html`
          <option value=${one} ?selected=${one === 12}>${t('connect.lasts', { count: one })}</option>`)}</select></label>
        <div class="row end"><button type="button" @click=${() => close()}>${t('frame.cancel')}</button>
          <button class="primary">${t('connect.make')}</button></div></form>`);
    if (!made) return;
    const body = { scope: made.get('scope'), name: made.get('name').trim() || t(`${PAGES[made.get('scope')]}.name`), lasts_ms: Number(made.get('hours')) * HOUR_MS };
    try {
      const token = await act('/v1/tokens', body, { name: t('connect.title') });
      tokens.touch();
      await show(token);
    } catch (error) {
      tokens.touch();
      toast(error.status === 409 ? t('connect.made_unheard') : words(error), 'bad');
    }
  }

  function show(token) {
    let at = 0;
    return dialog(t('connect.scan'), (close, again) => {
      const url = `${access.urls[at]}/#token=${token.text}&page=${PAGES[token.scope]}`;
      return html`<div class="code">${qr(url, t('connect.code_label'))}</div>
        <p>${t('connect.once', { time: time(token.ends_ms) })}</p>
        ${access.urls.length < 2 ? nothing : html`<label><span>${t('connect.which')}</span>
          <select @change=${(event) => { at = event.target.selectedIndex; again(); }}>${access.urls.map((one, index) => html`<option ?selected=${index === at}>${one}</option>`)}</select></label>`}
        <details><summary>${t('connect.address')}</summary><p><code class="whole">${url}</code></p></details>
        ${fingerprint()}
        <div class="row end"><button class="primary" @click=${() => close()}>${t('frame.close')}</button></div>`;
    });
  }

  function fingerprint() {
    if (!access.certificate) return nothing;
    return html`<p class="small">${t('connect.fingerprint')} <code>${pairs(access.certificate.fingerprint)}</code></p>`;
  }

  async function revoke(one) {
    const name = one.name || t('connect.unnamed');
    if (!await confirm({ title: t('connect.revoke_title', { name }), text: t('connect.revoke_text'), yes: t('connect.revoke') })) return;
    try {
      await act(`/v1/tokens/${one.token}/revoke`, undefined, { name: t('connect.revoke') });
      toast(t('connect.revoked_now', { name }), 'good');
    } catch (error) {
      toast(words(error), 'bad');
    }
    tokens.touch();
  }

  function row(one) {
    const now = Date.now();
    const good = !one.revoked_ms && one.ends_ms > now;
    const state = one.revoked_ms ? t('connect.revoked', { time: time(one.revoked_ms) })
      : t(good ? 'connect.ends' : 'connect.ended', { time: time(one.ends_ms) });
    return html`<li class="token ${good ? '' : 'over'}"><div><b>${one.name || t('connect.unnamed')}</b>
      <p class="small">${t(`connect.scopes.${one.scope}`)} · ${state}</p></div>
      ${good ? html`<button class="danger" @click=${() => revoke(one)}>${t('connect.revoke')}</button>` : nothing}</li>`;
  }

  function list() {
    const items = tokens.data?.items ?? [];
    return html`<h3>${t('connect.tokens')}${items.length ? ` (${number(items.length)})` : ''}</h3>
      ${items.length === 0 ? html`<p class="small">${t('connect.none')}</p>`
      : html`<ul class="bare tokens">${repeat(items, (one) => one.token, row)}</ul>`}`;
  }

  function trust() {
    return html`<details><summary>${t('connect.trust')}</summary><div class="stack">
      <p class="note good">${t('connect.trust_own')}</p>
      <p>${t('connect.trust_lead')}</p>${fingerprint()}
      <div class="row">
        <button @click=${take('/v1/access/profile.mobileconfig', 'popmesh.mobileconfig')}>${t('connect.profile')}</button>
        <button @click=${take('/v1/access/certificate.pem', 'popmesh.pem')}>${t('connect.pem')}</button></div>
      <ul><li>${t('connect.trust_ipad')}</li><li>${t('connect.trust_android')}</li><li>${t('connect.trust_computer')}</li></ul>
      <p class="small">${t('connect.trust_some')}</p></div></details>`;
  }

  function draw() {
    if (!access) return nothing;
    const reached = access.urls.length > 0;
    return html`<section class="card stack" aria-labelledby="health-connect"><h2 id="health-connect">${t('connect.title')}</h2>
      <p>${t('connect.lead')}</p>
      ${reached ? html`<div class="row"><button class="primary" @click=${ask}>${t('connect.new')}</button></div>`
      : html`<p>${t('connect.loopback')} <code>popmesh run --api 0.0.0.0:7443 --screen 127.0.0.1:7401</code></p>`}
      ${list()}
      ${reached || access.certificate ? trust() : nothing}</section>`;
  }

  return { start, draw };
}
