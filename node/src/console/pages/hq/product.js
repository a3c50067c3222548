/** A product: added, or changed. */

import { all } from '../../frame/api.js';
import { minorDigits, money, number, t } from '../../frame/text.js';
import { html, nothing, toast } from '../../frame/ui.js';
import { Unfit, ask, field, needed, send } from './form.js';
import { shrink } from './picture-file.js';
import { amountOf } from './rules.js';
import { percent, points, typed } from './sums.js';

/** What is asked for, as the API wants it: what stays as it was is left out. */
export function bodyOf(data, was, picture) {
  const tax = data.tax.trim() === '' ? null : points(data.tax);
  if (data.tax.trim() !== '' && tax === null) throw new Unfit('tax', t('hq.product.tax_bad'));
  const price = amountOf(data.price, 'price');
  if (price === 0) throw new Unfit('price', t('hq.product.price_bad'));
  const category = data.category.trim();
  return {
    sku: was ? was.sku : needed(data.sku, 'sku'),
    name: needed(data.name, 'name'),
    price,
    ...(tax !== null && tax !== (was?.tax ?? null) ? { tax } : {}),
    ...(category !== (was?.category ?? '') ? { category } : {}),
    ...(picture !== undefined ? { picture } : {}),
  };
}

async function inCarts(sku) {
  const carts = await all('/v1/carts').catch(() => []);
  return carts.filter((cart) => !cart.over && cart.items.some((item) => item.sku === sku)).length;
}

/** What changes, in words; `null` where nothing has to be asked. */
async function review(body, was) {
  if (!was || was.price === body.price) return null;
  const carts = await inCarts(was.sku);
  return {
    text: html`<p>${t('hq.product.price_review', { name: body.name, before: money(was.price), after: money(body.price) })}</p>
      <p>${carts > 0 ? t('hq.product.carts', { count: carts, number: number(carts) }) : t('hq.product.no_carts')}</p>`,
    yes: t('hq.product.price_yes', { price: money(body.price) }),
  };
}

/** Adds a product, or changes `was`. `categories` are those that others have. */
export async function editProduct(was, categories) {
  let picture;
  let problem = null;
  // Making it small takes a moment; who saves meanwhile waits for it.
  let ready = Promise.resolve();
  const take = async (file, redraw) => {
    try {
      picture = await shrink(file);
      problem = null;
    } catch {
      picture = undefined;
      problem = t('hq.product.picture_bad');
    }
    redraw();
  };
  const choose = (redraw) => (event) => {
    const [file] = event.target.files;
    if (file) ready = take(file, redraw);
  };
  const done = await ask({
    title: was ? t('hq.product.change_title', { name: was.name }) : t('hq.product.add_title'),
    yes: was ? t('hq.product.save') : t('hq.product.add'),
    fields: ({ redraw }) => html`
      ${was ? nothing : field('sku', t('hq.product.sku'), { hint: t('hq.product.sku_hint'), max: 64 })}
      ${field('name', t('hq.product.name'), { value: was?.name ?? '', max: 80 })}
      ${field('price', t('hq.product.price'), { value: was ? typed(was.price, minorDigits()) : '', mode: 'decimal' })}
      ${field('tax', t('hq.product.tax'), { value: was?.tax === undefined || was?.tax === null ? '' : String(percent(was.tax)), mode: 'decimal', hint: t('hq.product.tax_hint') })}
      ${field('category', t('hq.product.category'), { value: was?.category ?? '', list: 'hq-categories', hint: t('hq.product.category_hint'), max: 40 })}
      <datalist id="hq-categories">${categories.map((one) => html`<option value=${one}></option>`)}</datalist>
      <label class="button hq-file"><input class="hidden" type="file" name="file" accept="image/png,image/jpeg,image/webp" @change=${choose(redraw)}>${t(was?.picture || picture ? 'hq.product.picture_other' : 'hq.product.picture')}</label>
      ${picture ? html`<p class="small" role="status">${t('hq.product.picture_ready', { kb: number(Math.ceil((picture.length * 3) / 4096)) })}</p>` : nothing}
      ${problem ? html`<p class="bad-text" role="alert">${problem}</p>` : nothing}
      ${was?.picture && picture === undefined ? html`<label class="choice"><input type="checkbox" name="no_picture"><span>${t('hq.product.no_picture')}</span></label>` : nothing}`,
    review: async (data) => {
      await ready;
      if (problem) throw new Unfit('file', problem);
      return review(bodyOf(data, was), was);
    },
    send: (data, form, how) => send('/v1/products', bodyOf(data, was, data.no_picture ? '' : picture), how),
  });
  if (done) toast(t('hq.product.done', { name: done.name, price: money(done.price) }), 'good');
}
