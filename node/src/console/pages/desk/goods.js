/** Things with their serials, and what they are called. */

import { resource } from '../../frame/live.js';
import { t } from '../../frame/text.js';
import { html, nothing } from '../../frame/ui.js';

/** Names of products and devices, as this node knows them; `watch` as of any resource. */
export function names() {
  const programme = resource('/v1/programme', ['programme_changed', 'minted', 'reset']);
  const devices = resource('/v1/devices?limit=1000', ['reachable', 'unreachable', 'entrusted', 'retired', 'renewed', 'reset']);
  return {
    product: (sku) => programme.data?.products?.find((one) => one.sku === sku)?.name ?? sku,
    device: (id) => devices.data?.items?.find((one) => one.device === id)?.name ?? id.slice(0, 8),
    drop: (drop) => programme.data?.drops?.find((one) => one.drop === drop)?.title ?? drop,
    watch: (call) => {
      const ends = [programme.watch(call), devices.watch(call)];
      return () => ends.forEach((end) => end());
    },
  };
}

/** How many there are in `1-5,9`. */
export function countOf(units) {
  return units.split(',').reduce((sum, part) => {
    const [first, last = first] = part.split('-').map(Number);
    return sum + (last - first + 1);
  }, 0);
}

/** Lines of things, each with its serials and where it lies. */
export function items(list, known, more = () => '') {
  return html`<ul class="desk-goods">${list.map((item) => {
    const count = typeof item.units === 'string' ? countOf(item.units) : item.units;
    const place = item.compartment ? t('desk.in_compartment', { compartment: item.compartment }) : item.place ? t('desk.lying_at', { place: item.place }) : '';
    const also = more(item);
    return html`<li><b>${count} × ${known.product(item.sku)}</b>
      <span class="desk-serials">${item.sku} ${item.units}</span>
      ${place ? html`<span class="desk-place">${place}</span>` : nothing}
      ${also ? html`<span class="desk-also">${also}</span>` : nothing}</li>`;
  })}</ul>`;
}

/** The same in one line. */
export const inLine = (list, known) => list.map((item) => `${countOf(item.units)} × ${known.product(item.sku)}`).join(', ');
