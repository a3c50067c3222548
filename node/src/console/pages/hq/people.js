/** Personal data that shoppers gave: what was taken, and its erasure. What it says nobody can read here. */

import { all, get } from '../../frame/api.js';
import { resource } from '../../frame/live.js';
import { number, t, time } from '../../frame/text.js';
import { drawer, html, nothing, render, toast, words } from '../../frame/ui.js';
import { ask, field, needed, send } from './form.js';
import { steady } from './order.js';
import { devices, learnOwner, mayAct, notice } from './rights.js';
import { table } from './table.js';

async function erase(one) {
  const done = await ask({
    title: t('hq.people.erase_title'),
    yes: t('hq.people.erase_yes'),
    danger: true,
    fields: () => html`<p>${t('hq.people.erase_one', { kind: t(`hq.people.kind.${one.kind}`), by: one.device_name, when: time(one.at_ms) })}</p>
      <div class="note warn">${t('hq.people.forever')}</div>`,
    send: (data, form, how) => send('/v1/people/erase', { entry: one.entry }, how),
  });
  if (done) toast(t('hq.people.erased', { count: done.erased.length }), 'good');
}

async function eraseShopper(shopper) {
  const done = await ask({
    title: t('hq.people.erase_title'),
    yes: t('hq.next'),
    fields: () => html`<p>${t('hq.people.erase_text')}</p>${field('shopper', t('hq.people.shopper'), { value: shopper ?? '', hint: t('hq.people.shopper_hint') })}`,
    review: async (data) => {
      const named = needed(data.shopper, 'shopper');
      const found = (await all(`/v1/people?shopper=${encodeURIComponent(named)}`)).filter((one) => one.payload !== 'erased');
      return {
        text: html`<p>${t('hq.people.review', { shopper: named, count: found.length })}</p><div class="note warn">${t('hq.people.forever')}</div>`,
        yes: t('hq.people.erase_yes'),
        danger: true,
      };
    },
    send: (data, form, how) => send('/v1/people/erase', { shopper: needed(data.shopper, 'shopper') }, how),
  });
  if (done) toast(t('hq.people.erased', { count: done.erased.length }), 'good');
}

/** Whose a claim is, by anything that names it; nobody's if there is none, or several shoppers' fit. */
async function shopperOf(claim) {
  const claims = await all(`/v1/claims?named=${encodeURIComponent(claim)}`, 20).catch(() => []);
  const shoppers = new Set(claims.map((one) => one.shopper).filter(Boolean));
  return shoppers.size === 1 ? [...shoppers][0] : null;
}

function list(items, may) {
  return table({
    caption: t('hq.people.table'),
    width: 'many',
    rows: items,
    key: (one) => one.entry,
    none: t('hq.people.none'),
    columns: [
      { head: t('hq.people.when'), row: true, cell: (one) => time(one.at_ms) },
      { head: t('hq.people.what'), cell: (one) => html`${t(`hq.people.kind.${one.kind}`)}${one.sku || one.drop ? html` <span class="dim">${one.sku ?? one.drop}</span>` : nothing}` },
      { head: t('hq.people.whose'), cell: (one) => one.shopper ?? t('hq.unknown') },
      { head: t('hq.people.taken_by'), cell: (one) => one.device_name },
      { head: t('hq.people.consent'), cell: (one) => (one.consent ? t('hq.people.consented', { text: one.consent.text, version: one.consent.version }) : '–') },
      { head: t('hq.people.kept'), cell: (one) => t(`hq.people.payload.${one.payload}`, { when: one.erased_at_ms ? time(one.erased_at_ms) : '' }) },
      { head: t('hq.people.act'), act: true, cell: (one) => (may && one.payload !== 'erased'
        ? html`<button aria-label=${t('hq.people.erase_label', { kind: t(`hq.people.kind.${one.kind}`), when: time(one.at_ms) })} @click=${() => erase(one)}>${t('hq.people.erase')}</button>` : '–') },
    ],
  });
}

/** Draws the part into `place`; what it returns ends it. */
export function start(place, frame) {
  const everybody = devices();
  const kept = [];
  let search = '';
  let found = null;
  let live = resource('/v1/people?limit=200', ['personal_taken', 'personal_erased', 'reset']);
  let end = null;
  const draw = () => {
    const may = mayAct(frame.status());
    const said = live.data?.items ?? [];
    const denied = live.error?.status === 403;
    render(html`
      ${notice(frame.status(), everybody.data?.items ?? [])}
      <p>${t('hq.people.text')}</p>
      ${denied ? html`<div class="note warn">${t('hq.people.denied')}</div>` : html`
      <form class="row hq-find" role="search" @submit=${find}>
        <label><span>${t('hq.people.find')}</span><input name="shopper" type="search" autocomplete="off" autocapitalize="off" spellcheck="false"></label>
        <button>${t('hq.people.find_yes')}</button>
        <button type="button" class="danger" ?disabled=${!may} @click=${() => eraseShopper(search)}>${t('hq.people.erase_shopper')}</button>
      </form>
      ${found ? html`<p role="status">${found}</p>` : nothing}
      ${live.error && !denied ? html`<div class="note bad" role="alert">${words(live.error)}</div>` : nothing}
      ${live.data ? html`<section class="card">${list(steady(kept, said, (one) => one.entry), may)}</section>` : html`<p class="dim">${t('hq.looking')}</p>`}
      ${live.data?.next ? html`<p class="small">${t('hq.more_than', { count: number(200) })}</p>` : nothing}`}
      <p class="small">${t('hq.people.sealed')}</p>`, place);
  };
  const news = drawer(draw);
  const follow = () => {
    end?.();
    live = resource(`/v1/people?limit=200${search ? `&shopper=${encodeURIComponent(search)}` : ''}`, ['personal_taken', 'personal_erased', 'reset']);
    kept.length = 0;
    end = live.watch(news);
  };
  const find = async (event) => {
    event.preventDefault();
    const typed = new FormData(event.currentTarget).get('shopper').trim();
    search = typed;
    found = null;
    try {
      const known = typed ? await get(`/v1/people?limit=1&shopper=${encodeURIComponent(typed)}`) : null;
      const shopper = known && known.items.length === 0 ? await shopperOf(typed) : null;
      if (shopper) {
        search = shopper;
        found = t('hq.people.of_claim', { claim: typed, shopper });
      }
    } catch (error) {
      toast(words(error), 'bad');
    }
    follow();
    draw();
  };
  follow();
  const known = everybody.watch(news);
  learnOwner().then(news);
  draw();
  return () => {
    end?.();
    known();
  };
}
