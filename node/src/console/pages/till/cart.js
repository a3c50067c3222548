/** The cart beside the products: what the shopper wants, what it comes to, and the one button that goes on. */

import { html, nothing, repeat } from '../../frame/ui.js';
import { money, t, time } from '../../frame/text.js';
import { others } from './grid.js';

function lack(till, line) {
  if (till.basket.pickup) return nothing;
  const found = till.standing(line.sku);
  const short = line.quantity - found.here;
  if (till.basket.aside || short <= 0 || found.state === 'shut') return nothing;
  const who = others(found);
  return html`<p class="small lack">${t('till.lacks', { count: short })} ${who}</p>`;
}

function stepper(till, line) {
  const change = (by) => () => till.add(line.sku, by);
  return html`<div class="stepper" role="group" aria-label=${line.name}>
    <button aria-label=${t('till.fewer', { name: line.name })} @click=${change(-1)}>−</button>
    <output>${line.quantity}</output>
    <button aria-label=${t('till.more_of', { name: line.name })} @click=${change(1)}>+</button>
  </div>`;
}

/** The lines of the cart. */
export function lines(till) {
  const all = till.lines;
  if (all.length === 0) return html`<p class="empty dim">${t('till.empty')}</p>`;
  const cart = till.aside;
  return html`
    ${cart ? html`<p class="note">${t('till.paying_aside', { time: time(cart.until_ms) })}</p>` : nothing}
    <ul class="lines">${repeat(all, (line) => `${line.sku} ${line.price}`, (line) => html`<li>
      <div class="what"><span class="name">${line.name}</span>${line.quantity > 1 ? html`<span class="dim">${money(line.price)}</span>` : nothing}</div>
      ${stepper(till, line)}
      <span class="n">${money(line.price * line.quantity)}</span>
      ${lack(till, line)}
    </li>`)}</ul>`;
}

/** What the sale comes to. */
export function sums(till) {
  const { goods, tax } = till.sums;
  return html`<div class="sums">
    ${tax > 0 ? html`<div class="row dim"><span>${t('till.goods')}</span><span class="n">${money(goods)}</span></div>
      <div class="row dim"><span>${t('till.tax')}</span><span class="n">${money(tax)}</span></div>` : nothing}
    <div class="row total"><span>${t('till.total')}</span><span class="n" data-total=${till.total}>${money(till.total)}</span></div>
  </div>`;
}

/** Where the goods are handed over, and what else a sale can have: under "more", since most need none of it. */
export function more(till) {
  const { basket } = till;
  const places = till.pickups;
  return html`<details class="more" ?open=${Boolean(basket.pickup || basket.shopper)}>
    <summary>${t('till.more')}</summary>
    <div class="stack">
      <label><span>${t('till.pickup')}</span>
        <select @change=${(event) => till.setBasket({ pickup: event.target.value, pin: '' })}>
          <option value="" ?selected=${basket.pickup === ''}>${t('till.hand_over')}</option>
          ${places.map((one) => html`<option value=${one.device} ?selected=${basket.pickup === one.device}>${t('till.pickup_at', { name: one.name, venue: one.venue })}</option>`)}
        </select></label>
      ${basket.pickup ? html`<label><span>${t('till.pin')}</span>
        <input inputmode="numeric" pattern="[0-9]{4,8}" maxlength="8" autocomplete="off" .value=${basket.pin} @change=${(event) => till.setPin(event.target.value)}></label>` : nothing}
      ${basket.aside ? nothing : html`<label><span>${t('till.shopper')}</span>
        <input maxlength="40" autocomplete="off" autocapitalize="off" .value=${basket.shopper} @change=${(event) => till.setShopper(event.target.value)}></label>`}
    </div>
  </details>`;
}
