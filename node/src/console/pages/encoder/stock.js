/** What is left and what is claimed, in words that never say more than is known. */

import { number, t, time } from '../../frame/text.js';
import { html, nothing } from '../../frame/ui.js';

/** Whether the board is of now and of everybody: its bounds are the truth then. */
export const isExact = (board) => board.not_heard === 0 && board.as_of_ms === board.now_ms;

/** `62 of 100 claimed`, or `62+ of 100 claimed` while somebody is not heard. Of all, there cannot be more. */
export function claimed(counts, exact, text = 'encoder.claimed') {
  const n = number(counts.claimed);
  const all = counts.claimed === counts.announced && counts.announced > 0;
  return t(text, { n: exact || all ? n : t('encoder.or_more', { n }), of: number(counts.announced), count: counts.claimed });
}

/** `38 left`, or `at most 38 left`. */
export function left(counts, exact) {
  if (counts.sold_out) return t('encoder.sold_out');
  if (counts.left === 0) return t('encoder.none_free');
  return t(exact && counts.cut_off === 0 ? 'encoder.left' : 'encoder.at_most', { n: number(counts.left), count: counts.left });
}

/** Of when that is, in words; nothing if it is of now. */
export function asOf(board) {
  if (board.as_of_ms === undefined || board.as_of_ms === null) return t('encoder.never_heard');
  return board.as_of_ms < board.now_ms ? t('encoder.as_of', { time: time(board.as_of_ms) }) : t('encoder.as_of_now');
}

/** Where what is left lies, and who may have sold some of it since. */
export function where(counts) {
  return [
    counts.here > 0 ? t('encoder.here', { n: number(counts.here), count: counts.here }) : '',
    counts.elsewhere > 0 ? t('encoder.elsewhere', { n: number(counts.elsewhere), count: counts.elsewhere }) : '',
    counts.cut_off > 0 ? t('encoder.cut_off', { n: number(counts.cut_off), count: counts.cut_off }) : '',
    counts.frozen > 0 ? t('encoder.frozen', { n: number(counts.frozen), count: counts.frozen }) : '',
  ].filter(Boolean).join(' · ');
}

/** One device out of reach: what it may have sold since, and since when it is not heard. */
export function away(one) {
  const since = one.last_heard_ms ? t('encoder.heard', { time: time(one.last_heard_ms) }) : t('encoder.heard_never');
  const units = one.units > 0 ? t('encoder.up_to', { n: number(one.units), count: one.units }) : t('encoder.holds_none');
  return `${units} · ${since}`;
}

/** Stock and drop-to-claim, of all and by product. */
export function stockView(board) {
  const exact = isExact(board);
  const { total } = board;
  const percent = Number.isInteger(total.claimed_percent) ? t('encoder.percent', { n: number(total.claimed_percent) }) : '';
  return html`
    <section class="card stack" aria-labelledby="encoder-stock">
      <h2 id="encoder-stock">${t('encoder.stock')}</h2>
      <div class="encoder-figures">
        <div><p class="encoder-figure">${left(total, exact)}</p>
          <p>${asOf(board)}</p><p class="small">${where(total)}</p>
          ${total.back > 0 ? html`<p class="encoder-back">${t('encoder.back', { n: number(total.back), count: total.back })}</p>` : nothing}</div>
        <div><p class="encoder-figure">${claimed(total, exact)}</p>
          <progress max=${Math.max(1, total.announced)} value=${Math.min(total.claimed, Math.max(1, total.announced))} aria-label=${t('encoder.claimed_label')}></progress>
          <p class="small">${percent} ${t(`encoder.counted_${board.counted_from}`)}</p>
          ${total.voided > 0 ? html`<p class="note warn">${t('encoder.voided', { n: number(total.voided), count: total.voided, who: board.voided.map((one) => one.name).join(', ') })}</p>` : nothing}</div>
      </div>
      ${board.skus.length > 1 ? html`<div class="wide" tabindex="0" role="region" aria-label=${t('encoder.by_product')}><table>
        <thead><tr><th scope="col">${t('encoder.product')}</th><th scope="col">${t('encoder.claimed_head')}</th><th scope="col">${t('encoder.left_head')}</th></tr></thead>
        <tbody>${board.skus.map((sku) => html`<tr><th scope="row">${sku.name ?? sku.sku}</th><td class="encoder-n">${claimed(sku, exact, 'encoder.n_of')}</td>
          <td>${left(sku, exact)}${where(sku) ? html`<br><span class="small">${where(sku)}</span>` : nothing}</td></tr>`)}</tbody></table></div>` : nothing}
    </section>
    <section class="card stack" aria-labelledby="encoder-away">
      <h2 id="encoder-away">${t('encoder.out_of_reach')}</h2>
      ${board.cut_off.length === 0 ? html`<p><span class="encoder-ok" aria-hidden="true">✓</span> ${t('encoder.all_heard', { n: number(board.devices), count: board.devices })}</p>`
        : html`<ul class="encoder-list">${board.cut_off.map((one) => html`<li><b>${one.name}</b> <span class="small">${one.venue}</span><br>${away(one)}</li>`)}</ul>`}
    </section>`;
}
