/** Products, drops and lots. */

import { resource } from '../../frame/live.js';
import { money, number, t, time } from '../../frame/text.js';
import { drawer, html, nothing, render, repeat, words } from '../../frame/ui.js';
import { SIGNS } from '../encoder/steps.js';
import { STEPS, planDrop, stateWords, stepDrop } from './drop.js';
import { mintLot } from './lot.js';
import { byName } from './order.js';
import { pictureOf } from './picture-file.js';
import { editProduct } from './product.js';
import { devices, learnOwner, mayAct, notice } from './rights.js';
import { percent } from './sums.js';
import { table } from './table.js';

const initials = (name) => name.split(/\s+/).map((word) => word[0] ?? '').slice(0, 2).join('').toUpperCase();

function look(product, draw) {
  const address = product.picture ? pictureOf(product, draw) : null;
  return address
    ? html`<img class="hq-look" src=${address} alt="" width="40" height="40">`
    : html`<span class="hq-look" aria-hidden="true">${initials(product.name)}</span>`;
}

function products(all, may, draw) {
  const sorted = [...all].sort((a, b) => byName(a.category ?? '', b.category ?? '') || byName(a.name, b.name));
  const categories = [...new Set(all.map((one) => one.category).filter(Boolean))].sort(byName);
  return html`<section class="card stack">
    <div class="row hq-between"><h2>${t('hq.product.head')}</h2>
      ${may ? html`<button @click=${() => editProduct(null, categories)}>${t('hq.product.add_open')}</button>` : nothing}</div>
    <div>${table({
    caption: t('hq.product.head'),
    quiet: true,
    rows: sorted,
    key: (one) => one.sku,
    none: t('hq.product.none'),
    columns: [
      { head: t('hq.product.name'), row: true, cell: (one) => html`<span class="row hq-named">${look(one, draw)} <span>${one.name}<br><span class="small">${one.sku}</span></span></span>` },
      { head: t('hq.product.category'), cell: (one) => one.category ?? '–' },
      { head: t('hq.product.price'), number: true, cell: (one) => money(one.price) },
      { head: t('hq.product.tax'), number: true, cell: (one) => (one.tax === undefined || one.tax === null ? '–' : t('hq.percent', { value: number(percent(one.tax)) })) },
      ...(may ? [{ head: t('hq.people.act'), act: true, cell: (one) => html`<button aria-label=${t('hq.product.change_title', { name: one.name })} @click=${() => editProduct(one, categories)}>${t('hq.product.change')}</button>` }] : []),
    ],
  })}</div></section>`;
}

function drops(all, lots, venues, may) {
  const take = (drop, step) => (event) => {
    const where = event.currentTarget.closest('article').querySelector('select')?.value;
    stepDrop(drop, step, where || undefined);
  };
  return html`<section class="stack">
    <div class="row hq-between"><h2>${t('hq.drop.head')}</h2>
      ${may ? html`<button @click=${planDrop}>${t('hq.drop.plan_open')}</button>` : nothing}</div>
    ${all.length === 0 ? html`<p class="dim">${t('hq.drop.none')}</p>` : nothing}
    <div class="hq-cards">${repeat([...all].sort((a, b) => byName(a.drop, b.drop)), (one) => one.drop, (one) => html`
      <article class="card stack" data-drop=${one.drop}>
        <h3 class="hq-product">${one.title} <span class="dim">${one.drop}</span></h3>
        <p><strong><span aria-hidden="true">${SIGNS[one.state]}</span> ${stateWords(one)}</strong></p>
        <p class="small">${t('hq.drop.lots', { count: lots.filter((lot) => lot.drop === one.drop).length })}
          · ${one.pickup_within_ms ? t('hq.drop.pickup_within', { count: Math.round(one.pickup_within_ms / 3_600_000) }) : t('hq.drop.pickup_ever')}
          · ${t('hq.drop.unclaimed')} ${t(`hq.drop.unclaimed_${one.unclaimed ?? 'keep'}`)}</p>
        ${one.steps?.length ? html`<ul class="bare small">${one.steps.map((step) => html`<li>${t('hq.drop.step_done', { step: t(`hq.drop.step.${step.step}`), when: time(step.at_ms), by: step.by_name, where: step.venue ?? t('hq.drop.all_venues') })}</li>`)}</ul>` : nothing}
        ${may && venues.length > 1 ? html`<label><span>${t('hq.drop.where')}</span><select name="venue">
          <option value="">${t('hq.drop.all_venues')}</option>${venues.map((venue) => html`<option value=${venue}>${venue}</option>`)}</select></label>` : nothing}
        ${may ? html`<div class="row hq-acts">${STEPS[one.state]?.map((step) => html`
          <button class=${step.step === 'close' ? 'danger' : nothing} @click=${take(one, step)}>${t(`hq.drop.step.${step.again ? `${step.step}_again` : step.step}`)}</button>`)}</div>` : nothing}
      </article>`)}</div></section>`;
}

function lots(programme, may) {
  const names = new Map(programme.products.map((one) => [one.sku, one.name]));
  const ready = programme.products.length > 0 && programme.drops.length > 0;
  return html`<section class="card stack">
    <div class="row hq-between"><h2>${t('hq.lot.head')}</h2>
      ${may ? html`<button ?disabled=${!ready} @click=${() => mintLot(programme)}>${t('hq.lot.open')}</button>` : nothing}</div>
    ${ready ? nothing : html`<p class="small">${t('hq.lot.first_others')}</p>`}
    <div>${table({
    caption: t('hq.lot.head'),
    quiet: true,
    rows: programme.lots,
    key: (lot) => lot.lot,
    none: t('hq.lot.none'),
    columns: [
      { head: t('hq.lot.drop'), row: true, cell: (lot) => lot.drop },
      { head: t('hq.lot.sku'), cell: (lot) => html`${names.get(lot.sku) ?? lot.sku} <span class="dim">${lot.sku}</span>` },
      { head: t('hq.lot.edition'), cell: (lot) => lot.edition ?? '–' },
      { head: t('hq.lot.serials'), cell: (lot) => html`<span class="hq-long">${lot.units}</span>` },
      { head: t('hq.lot.printed'), cell: (lot) => t(lot.numbered ? 'hq.yes' : 'hq.no') },
      { head: t('hq.lot.place'), cell: (lot) => lot.place },
      { head: t('hq.lot.frozen'), cell: (lot) => lot.frozen || '–' },
    ],
  })}</div></section>`;
}

/** Draws the part into `place`; what it returns ends it. */
export function start(place, frame) {
  const live = resource('/v1/programme', ['programme_changed', 'minted', 'step', 'reset']);
  const everybody = devices();
  const draw = () => {
    const known = everybody.data?.items ?? [];
    const may = mayAct(frame.status());
    const venues = [...new Set(known.filter((one) => !one.retired_by).map((one) => one.venue))].sort(byName);
    render(html`
      ${notice(frame.status(), known)}
      ${live.error && !live.data ? html`<div class="note bad" role="alert">${words(live.error)}</div>` : nothing}
      ${live.data ? html`${drops(live.data.drops, live.data.lots, venues, may)}${products(live.data.products, may, news)}${lots(live.data, may)}`
    : html`<p class="dim">${t('hq.looking')}</p>`}`, place);
  };
  const news = drawer(draw);
  const ends = [live.watch(news), everybody.watch(news)];
  learnOwner().then(news);
  draw();
  return () => ends.forEach((end) => end());
}
