/** Sales after the close: who was cut off and sold what it held has done nothing wrong. */

import { Problem } from '../../frame/api.js';
import { money, number, t, time } from '../../frame/text.js';
import { html, words } from '../../frame/ui.js';

/** The list of them. */
export function lateView(late) {
  const items = late.data?.items ?? [];
  if (items.length === 0 && !(late.error instanceof Problem)) return html``;
  return html`<section class="card stack" aria-labelledby="encoder-late"><h2 id="encoder-late">${t('encoder.late')}</h2>
    ${late.error instanceof Problem && items.length === 0 ? html`<p class="note warn">${words(late.error)}</p>` : html`
      <p class="small">${t('encoder.late_text')}</p>
      <div class="wide" tabindex="0" role="region" aria-label=${t('encoder.late')}><table><thead><tr><th scope="col">${t('encoder.late_when')}</th><th scope="col">${t('encoder.late_where')}</th>
        <th scope="col" class="n">${t('encoder.late_units')}</th><th scope="col" class="n">${t('encoder.late_amount')}</th><th scope="col">${t('encoder.late_code')}</th></tr></thead>
        <tbody>${items.map((one) => html`<tr><td>${time(one.at_ms)} <span class="small">${t('encoder.late_closed', { time: time(one.closed_at_ms) })}</span></td>
          <td>${one.by_name} <span class="small">${one.venue}</span></td><td class="n">${number(one.units)}</td><td class="n">${money(one.amount)}</td><td>${one.code}</td></tr>`)}</tbody></table></div>
      ${late.data?.next ? html`<p class="small">${t('encoder.late_more')}</p>` : ''}`}
  </section>`;
}
