/** Carts that were put aside, here and elsewhere: to go on with, to take over, to let go. */

import { act, get } from '../../frame/api.js';
import { confirm, dialog, html, nothing, qr, words } from '../../frame/ui.js';
import { money, t, time } from '../../frame/text.js';
import * as baskets from './basket.js';

const MINUTE = 60_000;
/** For how long something can be put aside, milliseconds. */
const TIMES = [10 * MINUTE, 15 * MINUTE, 30 * MINUTE, 60 * MINUTE];

const itemsOf = (till, cart) => baskets.linesOf(cart.items).map((line) => `${line.quantity} × ${till.nameOf(line.sku)}`).join(', ');

/** Puts what is in the cart aside: nobody else can have it until then. */
export async function putAside(till) {
  let ttl = TIMES[0];
  let shopper = till.basket.shopper;
  const go = await dialog(t('till.put_aside'), (close, redraw) => html`
    <p>${t('till.put_aside_text', { items: till.words })}</p>
    <div class="chips" role="group" aria-label=${t('till.how_long')}>${TIMES.map((one) => html`
      <button class="chip" aria-pressed=${one === ttl} @click=${() => { ttl = one; redraw(); }}>${t('till.minutes', { count: one / MINUTE })}</button>`)}</div>
    <label><span>${t('till.shopper')}</span><input maxlength="40" autocomplete="off" autocapitalize="off" .value=${shopper} @change=${(event) => { shopper = baskets.reference(event.target.value); redraw(); }}></label>
    <div class="row end"><button @click=${() => close(false)}>${t('frame.cancel')}</button>
      <button class="primary" @click=${() => close(true)}>${t('till.put_aside_yes')}</button></div>`);
  if (!go) return;
  const { basket } = till;
  const items = basket.lines.map(({ sku, quantity }) => ({ sku, quantity }));
  try {
    const cart = await act('/v1/carts', { drop: basket.drop, items, ttl_ms: ttl, ...(shopper ? { shopper } : {}) }, { name: `${t('till.put_aside')}: ${till.words}` });
    till.clear();
    till.tell(t('till.put_aside_done', { items: itemsOf(till, cart), time: time(cart.until_ms) }), '');
    till.carts.touch();
    till.stock.touch();
  } catch (error) {
    till.refuse(error, () => putAside(till), 'aside');
  }
}

async function letGo(till, cart) {
  const yes = await confirm({ title: t('till.let_go_title'), text: t('till.let_go_text', { items: itemsOf(till, cart) }), yes: t('till.let_go') });
  if (!yes) return;
  await act(`/v1/carts/${cart.cart}/release`, undefined, { name: `${t('till.let_go')}: ${itemsOf(till, cart)}` });
  if (till.basket.aside?.cart === cart.cart) till.clear();
  till.stock.touch();
}

/** The code of a cart, for another till to take it over by. */
async function showToken(till, cart) {
  const { token } = await get(`/v1/carts/${cart.cart}/token`);
  await dialog(t('till.cart_code'), (close) => html`<div class="code">${qr(token, t('till.cart_code'))}
    <p>${itemsOf(till, cart)}</p><p>${t('till.until', { time: time(cart.until_ms) })}</p>
    <button class="primary" @click=${() => close()}>${t('frame.close')}</button></div>`);
}

/** Shows what is put aside. */
export async function carts(till) {
  let problem = null;
  let end = () => {};
  let watched = false;
  await dialog(t('till.carts'), (close, redraw) => {
    if (!watched) {
      watched = true;
      end = till.carts.watch(redraw);
    }
    const run = (what) => async () => {
      try {
        problem = null;
        await what();
        till.carts.touch();
      } catch (error) {
        problem = error;
      }
      redraw();
    };
    const all = till.carts.data?.items ?? [];
    const here = (cart) => cart.holder === till.me?.device;
    const take = async (cart) => {
      till.payAside(await act('/v1/carts/take', { cart: cart.cart }, { name: t('till.take_over', { name: till.deviceName(cart.holder) }) }));
      close();
    };
    const item = (cart) => html`<li class="row">
      <span class="grow"><b>${itemsOf(till, cart)}</b> · ${money(cart.total)}${cart.shopper ? ` · ${cart.shopper}` : ''}<br>
        <span class="small">${t('till.until', { time: time(cart.until_ms) })} · ${here(cart) ? t('till.held_here') : t('till.held_by', { name: till.deviceName(cart.holder) })}</span></span>
      ${!till.maySell ? nothing : here(cart) ? html`
        <button class="primary" @click=${() => { till.payAside(cart); close(); }}>${t('till.go_on')}</button>
        <button @click=${run(() => showToken(till, cart))}>${t('till.show_code')}</button>
        <button class="danger" @click=${run(() => letGo(till, cart))}>${t('till.let_go')}</button>`
        : html`<button @click=${run(() => take(cart))}>${t('till.take_over', { name: till.deviceName(cart.holder) })}</button>`}
    </li>`;
    return html`
      ${problem ? html`<p class="note bad" role="alert">${words(problem)}</p>` : nothing}
      ${all.length === 0 ? html`<p class="dim">${t('till.no_carts')}</p>` : html`<ul class="sales">${[...all].sort((a, b) => here(b) - here(a) || a.until_ms - b.until_ms).map(item)}</ul>`}
      <div class="row end"><button @click=${() => close()}>${t('frame.close')}</button></div>`;
  });
  end();
}
