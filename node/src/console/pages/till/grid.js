/** The products, as tiles whose order and size stay the same whatever news comes in. */

import { html, nothing, repeat } from '../../frame/ui.js';
import { language, money, t, time } from '../../frame/text.js';
import { picture } from './picture.js';
import { byCategory, canAdd, initials, matching, sells } from './stock.js';

/** Who else has a product, and since when that is known, in words; empty if nobody has. */
export function others(found) {
  if (found.others.length === 0) return '';
  const units = found.others.reduce((all, one) => all + one.units, 0);
  if (found.others.length > 1) {
    const facts = { units, count: found.others.length };
    return found.heard ? t('till.at_several', { ...facts, time: time(found.heard) }) : t('till.at_several_unheard', facts);
  }
  const [one] = found.others;
  if (!one.last_heard_ms) return t('till.at_unheard', { units, name: one.name });
  const facts = { units, name: one.name, time: time(one.last_heard_ms) };
  return one.reachable ? t('till.at', facts) : t('till.at_lost', facts);
}

/** Why a drop does not sell. */
export const shut = (drop) => t(`till.shut.${drop?.state ?? 'none'}`);

/** How a product stands beside what is here, in words: who has more, or why it is not sold. */
export function standingWords(found, drop) {
  if (found.state === 'sold_out' || found.state === 'none') return t(found.state === 'none' ? 'till.none_made' : 'till.sold_out_long');
  if (found.state === 'shut') return shut(drop);
  const parts = [];
  if (found.away > 0) parts.push(t('till.away', { count: found.away }));
  if (found.aside > 0) parts.push(t('till.aside', { count: found.aside }));
  const more = others(found);
  if (more) parts.push(more);
  return parts.join(' · ');
}

const flag = (found) => (found.state === 'ready' ? '' : t(`till.flag.${found.state}`));

function tile(till, product, counts) {
  const found = till.standing(product.sku);
  const drop = till.dropOf(till.dropFor(product.sku));
  const words = standingWords(found, drop);
  const can = canAdd(found) && till.maySell;
  const count = counts.get(product.sku) ?? 0;
  const image = picture(product, till.tellNews);
  const mark = flag(found);
  const here = found.state === 'ready' ? t('till.here', { count: found.here }) : '';
  const tap = () => (can ? till.add(product.sku) : till.maySell && till.tell(`${product.name}: ${mark} ${words}`));
  return html`<button class="tile ${found.state}" data-sku=${product.sku} aria-disabled=${can ? nothing : 'true'} @click=${tap}>
    <span class="face" aria-hidden="true">${image ? html`<img src=${image} alt="" width="56" height="56">` : initials(product.name)}</span>
    <span class="kind">${product.category ?? ''}</span>
    <span class="name">${product.name}</span>
    <span class="price">${money(product.price)}
      ${count > 0 ? html`<span class="count"><span aria-hidden="true">×${count}</span><span class="hidden">${t('till.in_cart', { count })}</span></span>` : nothing}</span>
    <span class="stock">${mark ? html`<b class="flag">${mark}</b> ` : nothing}${here ? html`<b class="here">${here}</b>${words ? ' · ' : ''}` : nothing}${words}</span>
  </button>`;
}

function chips(till, groups) {
  const names = groups.map((group) => group.name).filter(Boolean);
  if (names.length === 0) return nothing;
  const chip = (value, text) => html`<button class="chip" aria-pressed=${till.category === value} @click=${() => till.show({ category: value })}>${text}</button>`;
  return html`<div class="chips" role="group" aria-label=${t('till.categories')}>
    ${chip(null, t('till.all'))}${names.map((name) => chip(name, name))}</div>`;
}

/** All drops where there are several, those too that do not sell: a row that comes and goes would move what is below it. */
function drops(till) {
  if (till.drops.length < 2) return nothing;
  return html`<div class="chips" role="group" aria-label=${t('till.drops')}>
    <button class="chip" aria-pressed=${!till.drop} @click=${() => till.chooseDrop(null)}>${t('till.all_drops')}</button>
    ${till.drops.map((one) => html`<button class="chip" aria-pressed=${till.drop === one.drop}
      @click=${() => till.chooseDrop(one.drop)}>${one.title || one.drop}${sells(one) ? '' : ` · ${t(`till.drop_state.${one.state}`)}`}</button>`)}</div>`;
}

/** What is said where there is nothing to sell. */
function note(till) {
  if (!till.programme.data) return till.programme.error ? nothing : html`<p class="note">${t('till.loading')}</p>`;
  if (till.products.length === 0) return html`<p class="note">${t('till.no_products')}</p>`;
  if (till.drops.length === 0) return html`<p class="note warn">${t('till.no_drops')}</p>`;
  return nothing;
}

/** Draws the products. */
export function grid(till) {
  const groups = byCategory(till.products, language());
  const counts = new Map();
  till.lines.forEach((line) => counts.set(line.sku, (counts.get(line.sku) ?? 0) + line.quantity));
  const shown = groups.filter((group) => till.category === null || till.find || group.name === till.category).flatMap((group) => matching(group.products, till.find));
  return html`${drops(till)}${chips(till, groups)}${note(till)}
    ${till.products.length > 0 && shown.length === 0 ? html`<p class="note">${t('till.nothing_found', { text: till.find })}</p>` : nothing}
    <div class="tiles ${groups.some((group) => group.name) ? 'kinds' : ''}">${repeat(shown, (one) => one.sku, (one) => tile(till, one, counts))}</div>`;
}
