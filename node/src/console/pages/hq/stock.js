/** Stock by device and place, with the moves that are made by hand. */

import { resource } from '../../frame/live.js';
import { age, number, t, time } from '../../frame/text.js';
import { drawer, html, nothing, render, repeat, words } from '../../frame/ui.js';
import { damage, giveTo, move } from './give.js';
import { byName } from './order.js';
import { table } from './table.js';

/** Events after which stock is another. */
export const STOCK_EVENTS = ['sold', 'redeemed', 'refunded', 'transferred', 'taken_over', 'minted', 'moved', 'damaged', 'voided', 'retired', 'left', 'reachable', 'unreachable', 'reset'];

/** What there is of a line beside what can be sold, as `[key, units]`; what there is none of is left out. */
export function besides(levels) {
  const kinds = [['held', levels.held], ['in_transit', levels.in_transit], ['stranded', levels.stranded], ['committed', levels.committed],
    ['frozen', levels.frozen ?? 0], ['damaged', levels.damaged], ['sold', levels.sold]];
  return kinds.filter(([, count]) => count > 0);
}

/** Holders in a fixed order: by name. Who holds nothing is left out. */
export const holdersOf = (line) => line.holders.filter((one) => one.units > 0).sort((a, b) => byName(a.name, b.name));

/** Since when what is said of a holder is known. */
function known(holder, here) {
  if (holder.device === here) return t('hq.stock.exact');
  if (holder.reachable) return t('hq.stock.now');
  return holder.last_heard_ms ? t('hq.stock.heard', { when: time(holder.last_heard_ms), age: age(holder.last_heard_ms) }) : t('hq.stock.never');
}

function places(holder, line, here) {
  const lying = holder.device === here ? line.places : holder.lying;
  return lying.map((one) => t('hq.stock.place', { place: one.place, number: number(one.units) })).join(', ') || '–';
}

function holders(line, here) {
  return table({
    caption: t('hq.stock.holders', { sku: line.sku }),
    quiet: true,
    width: 'few',
    rows: holdersOf(line),
    key: (holder) => holder.device,
    none: t('hq.stock.nobody'),
    columns: [
      { head: t('hq.stock.holder'), row: true, cell: (holder) => (holder.device === here ? t('hq.stock.this', { name: holder.name }) : holder.name) },
      { head: t('hq.stock.units'), number: true, cell: (holder) => number(holder.units) },
      { head: t('hq.stock.where'), cell: (holder) => places(holder, line, here) },
      { head: t('hq.stock.known'), cell: (holder) => html`<span class=${holder.reachable || holder.device === here ? nothing : 'hq-warn'}>${known(holder, here)}</span>` },
    ],
  });
}

function card(line, name, here) {
  const sure = line.unreachable === 0;
  return html`<article class="card stack" data-sku=${line.sku}>
    <div class="row hq-between"><h3 class="hq-product">${name} <span class="dim">${line.sku}</span></h3>
      <span class="hq-count">${sure ? t('hq.stock.left', { number: number(line.reachable) })
    : t('hq.stock.between', { least: number(line.reachable), most: number(line.reachable + line.unreachable) })}</span></div>
    <p class="small">${t('hq.stock.minted', { number: number(line.minted) })}${besides(line.mesh).map(([kind, count]) => html` · ${t(`hq.stock.${kind}`, { count, number: number(count) })}`)}</p>
    ${holders(line, here)}
    ${line.own.available + (line.own.frozen ?? 0) === 0 ? html`<p class="small">${t('hq.stock.not_here')}</p>` : nothing}
    <div class="row hq-acts">
      <button ?disabled=${line.own.available === 0} @click=${() => giveTo({ drop: line.drop, sku: line.sku })}>${t('hq.give.open')}</button>
      <button ?disabled=${line.own.available === 0} @click=${() => move({ drop: line.drop, sku: line.sku })}>${t('hq.move.open')}</button>
      <button ?disabled=${line.own.available + (line.own.frozen ?? 0) === 0} @click=${() => damage({ drop: line.drop, sku: line.sku })}>${t('hq.damage.open')}</button>
    </div>
  </article>`;
}

/** Draws the part into `place`; what it returns ends it. */
export function start(place, frame) {
  const stock = resource('/v1/stock?limit=1000', STOCK_EVENTS, 10_000);
  const programme = resource('/v1/programme', ['programme_changed', 'minted', 'reset']);
  const draw = () => {
    const here = frame.status()?.device.device;
    const names = new Map((programme.data?.products ?? []).map((one) => [one.sku, one.name]));
    const titles = new Map((programme.data?.drops ?? []).map((one) => [one.drop, one.title]));
    const lines = [...(stock.data?.items ?? [])].sort((a, b) => byName(a.drop, b.drop) || byName(names.get(a.sku) ?? a.sku, names.get(b.sku) ?? b.sku));
    const drops = [...new Set(lines.map((line) => line.drop))];
    render(html`
      ${stock.error && !stock.data ? html`<div class="note bad" role="alert">${words(stock.error)}</div>` : nothing}
      ${!stock.data && !stock.error ? html`<p class="dim">${t('hq.looking')}</p>` : nothing}
      ${stock.data && lines.length === 0 ? html`<p class="dim">${t('hq.stock.none')}</p>` : nothing}
      ${repeat(drops, (drop) => drop, (drop) => html`<section class="stack" aria-label=${titles.get(drop) ?? drop}>
        <h2>${titles.get(drop) ?? drop}</h2>
        <div class="hq-cards">${repeat(lines.filter((line) => line.drop === drop), (line) => line.sku, (line) => card(line, names.get(line.sku) ?? line.sku, here))}</div>
      </section>`)}`, place);
  };
  const news = drawer(draw);
  const ends = [stock.watch(news), programme.watch(news)];
  draw();
  return () => ends.forEach((end) => end());
}
