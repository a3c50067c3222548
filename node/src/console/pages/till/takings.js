/** What this till took: today by its receipts, and in all by its books; and the payments that wait to be authorised. */

import { all, get } from '../../frame/api.js';
import { dialog, html, nothing, words } from '../../frame/ui.js';
import { money, t, time } from '../../frame/text.js';
import { settle } from './claim.js';
import { midnight, taken } from './reckon.js';

/** Most receipts of a day that are summed here; beyond that the books alone are shown. */
const MOST = 5000;

async function look(till) {
  const me = till.me.device;
  const [books, receipts, waiting] = await Promise.all([
    get(`/v1/takings?device=${me}`),
    all(`/v1/receipts?device=${me}&since=${midnight()}`, MOST),
    get('/v1/payments/waiting?limit=200'),
  ]);
  return {
    books: books.items[0] ?? null,
    today: receipts.length < MOST ? taken(receipts) : null,
    sales: receipts.filter((one) => one.kind === 'sale').length,
    waiting: waiting.items.filter((one) => one.seller === me),
  };
}

function table(rows, caption) {
  return html`<div class="wide" role="region" tabindex="0" aria-label=${caption}><table>
    <caption class="kind">${caption}</caption>
    <thead><tr><th>${t('till.tender_name')}</th><th class="n">${t('till.taken')}</th><th class="n">${t('till.paid_out')}</th><th class="n">${t('till.net')}</th></tr></thead>
    <tbody>${rows.length === 0 ? html`<tr><td colspan="4" class="dim">${t('till.nothing_taken')}</td></tr>` : rows.map((one) => html`<tr>
      <th scope="row">${t(`till.tender.${one.tender}`)}</th><td class="n">${money(one.taken)}</td><td class="n">${money(one.back)}</td>
      <td class="n"><b>${money(one.taken - one.back)}</b></td></tr>`)}</tbody>
  </table></div>`;
}

const rowsOf = (books) => books.tenders.map((one) => ({ tender: one.tender, taken: one.taken, back: one.paid_back }));

/** Whether today's is all that there is: the same need not be said twice. */
function isAll({ today, sales, books }) {
  const sum = (rows, name) => rows.reduce((all, one) => all + one[name], 0);
  const rows = rowsOf(books);
  return today !== null && sales === books.sales && ['taken', 'back'].every((name) => sum(today, name) === sum(rows, name));
}

/** Shows the takings. */
export function takings(till) {
  let found = null;
  let problem = null;
  const again = async (redraw) => {
    try {
      found = await look(till);
      problem = null;
    } catch (error) {
      problem = error;
    }
    redraw();
  };
  let begun = false;
  return dialog(t('till.takings'), (close, redraw) => {
    if (!begun) {
      begun = true;
      queueMicrotask(() => again(redraw));
    }
    const say = (one, failed) => async () => {
      try {
        if (await settle(one.claim, one.payment, failed)) await again(redraw);
      } catch (error) {
        problem = error;
        redraw();
      }
    };
    return html`
      ${problem ? html`<p class="note bad" role="alert">${words(problem)}</p>` : nothing}
      ${found === null ? html`<p class="dim">${t('till.loading')}</p>` : html`
        ${found.today ? table(found.today, t('till.today', { count: found.sales })) : nothing}
        ${found.books && !isAll(found) ? table(rowsOf(found.books), t('till.in_all', { count: found.books.sales })) : nothing}
        ${found.waiting.length === 0 ? nothing : html`<h3>${t('till.waiting')}</h3><ul class="sales">${found.waiting.map((one) => html`<li class="row">
          <span>${time(one.at_ms)} · ${t(`till.tender.${one.tender}`)} ${money(one.amount)}${one.reference ? ` · ${one.reference}` : ''}</span>
          <button ?disabled=${!till.maySell} @click=${say(one, false)}>${t('till.settled')}</button>
          <button class="danger" ?disabled=${!till.maySell} @click=${say(one, true)}>${t('till.failed')}</button></li>`)}</ul>`}`}
      <div class="row end"><button class="primary" @click=${() => close()}>${t('frame.close')}</button></div>`;
  });
}
