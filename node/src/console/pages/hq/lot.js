/** Lots: serials of a product for a drop, minted once. */

import { number, t } from '../../frame/text.js';
import { html, toast } from '../../frame/ui.js';
import { Unfit, ask, choice, field, send, whole } from './form.js';

/** The highest number of serials such as `1-5,9`. */
export const highest = (serials) => Math.max(0, ...serials.split(/[-,]/).map(Number));

/** The first serial that no lot of a SKU and edition has. */
export const nextFree = (lots, sku, edition = null) => 1 + Math.max(0, ...lots
  .filter((lot) => lot.sku === sku && (lot.edition ?? null) === edition).map((lot) => highest(lot.units)));

/** What is asked for, as the API wants it. */
export function bodyOf(data) {
  const first = whole(data.first, 'first', 0, 4_294_967_295);
  const count = whole(data.count, 'count', 1, 10_000_000);
  if (first + count - 1 > 4_294_967_295) throw new Unfit('count', t('hq.lot.too_many'));
  const edition = data.edition.trim();
  const place = data.place.trim();
  return {
    drop: data.drop,
    sku: data.sku,
    first,
    last: first + count - 1,
    numbered: Boolean(data.numbered),
    ...(edition ? { edition } : {}),
    ...(place ? { place } : {}),
  };
}

/** Mints a lot. */
export async function mintLot(programme) {
  const { products, drops, lots } = programme;
  const names = new Map(products.map((one) => [one.sku, one.name]));
  const suggest = (event) => {
    const { form } = event.currentTarget;
    form.elements.first.value = String(nextFree(lots, form.elements.sku.value, form.elements.edition.value.trim() || null));
  };
  const done = await ask({
    title: t('hq.lot.title'),
    yes: t('hq.next'),
    fields: () => html`
      ${choice('drop', t('hq.lot.drop'), drops.map((one) => [one.drop, one.title]))}
      ${choice('sku', t('hq.lot.sku'), products.map((one) => [one.sku, `${one.name} (${one.sku})`]), { change: suggest })}
      ${field('count', t('hq.lot.count'), { mode: 'numeric' })}
      ${field('first', t('hq.lot.first'), { value: String(nextFree(lots, products[0]?.sku)), mode: 'numeric', hint: t('hq.lot.first_hint') })}
      <label class="choice"><input type="checkbox" name="numbered" checked><span>${t('hq.lot.numbered')}</span></label>
      ${field('edition', t('hq.lot.edition'), { hint: t('hq.lot.edition_hint') })}
      ${field('place', t('hq.lot.place'), { hint: t('hq.lot.place_hint') })}`,
    review: async (data) => {
      const body = bodyOf(data);
      const count = body.last - body.first + 1;
      return {
        text: html`<p>${t('hq.lot.review', { count: number(count), name: names.get(body.sku) ?? body.sku, first: body.first, last: body.last, drop: body.drop })}</p><p>${t('hq.lot.forever')}</p>`,
        yes: t('hq.lot.yes', { count: number(count) }),
      };
    },
    send: (data, form, how) => send('/v1/lots', bodyOf(data), how),
  });
  if (done) toast(t('hq.lot.done', { sku: done.sku, units: done.units }), 'good');
}
