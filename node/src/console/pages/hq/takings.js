/** What was taken on all devices, payments that wait to be authorised, and receipts. */

import { all, get } from '../../frame/api.js';
import { resource } from '../../frame/live.js';
import { openReceipt } from '../../frame/receipt.js';
import { age, money, number, t, time } from '../../frame/text.js';
import { drawer, html, nothing, render, toast, words } from '../../frame/ui.js';
import { ask, send } from './form.js';
import { byName } from './order.js';
import { percent, rowsOf, sums } from './sums.js';
import { table } from './table.js';

const MONEY = ['sold', 'refunded', 'payment_settled', 'voided', 'retired', 'reset'];

/** What hardly ever is: a column of nothing but zeros says nothing. */
const seldom = (rows, name, column) => (rows.some((row) => row[name]) ? [column] : []);

const amounts = (rows) => [
  { head: t('hq.takings.payments'), number: true, cell: (row) => number(row.payments) },
  { head: t('hq.takings.taken'), number: true, cell: (row) => money(row.taken) },
  { head: t('hq.takings.paid_back'), number: true, cell: (row) => money(row.paid_back) },
  { head: t('hq.takings.net'), number: true, cell: (row) => html`<strong>${money(row.net)}</strong>` },
  ...seldom(rows, 'deferred', { head: t('hq.takings.deferred'), number: true, cell: (row) => money(row.deferred) }),
  ...seldom(rows, 'failed', { head: t('hq.takings.failed'), number: true, cell: (row) => money(row.failed) }),
];

function totals(takings) {
  const every = sums(takings);
  const far = takings.length;
  const rows = [...every.tenders, ...(every.tenders.length > 1 ? [{ tender: 'all', ...every.total }] : [])];
  return html`<section class="card stack">
    <h2>${t('hq.takings.all')}</h2>
    <p class="hq-count">${money(every.total.net)}</p>
    <p class="small">${t('hq.takings.from', { count: far })} · ${t('hq.takings.sales', { count: every.sales, number: number(every.sales), amount: money(every.sold) })}
      · ${t('hq.takings.refunds', { count: every.refunds, number: number(every.refunds), amount: money(every.refunded) })}</p>
    ${table({
    caption: t('hq.takings.by_tender'),
    quiet: true,
    rows,
    key: (row) => row.tender,
    none: t('hq.takings.none'),
    columns: [{ head: t('hq.takings.tender'), row: true, cell: (row) => t(`hq.tender.${row.tender}`) }, ...amounts(rows)],
  })}
    ${every.taxes.length ? table({
    caption: t('hq.takings.taxes'),
    rows: every.taxes,
    key: (row) => String(row.rate),
    columns: [
      { head: t('hq.takings.rate'), row: true, cell: (row) => t('hq.percent', { value: number(percent(row.rate)) }) },
      { head: t('hq.takings.before_tax'), number: true, cell: (row) => money(row.net) },
      { head: t('hq.takings.tax'), number: true, cell: (row) => money(row.tax) },
    ],
  }) : nothing}
  </section>`;
}

function byDevice(takings) {
  const rows = rowsOf(takings).sort((a, b) => byName(a.name, b.name));
  return html`<section class="card">${table({
    caption: t('hq.takings.by_device'),
    width: amounts(rows).length > 4 ? 'many' : 'some',
    rows,
    key: (row) => `${row.device} ${row.tender}`,
    none: t('hq.takings.none'),
    columns: [
      { head: t('hq.col.device'), row: true, cell: (row) => row.name },
      { head: t('hq.takings.tender'), cell: (row) => t(`hq.tender.${row.tender}`) },
      ...amounts(rows),
    ],
  })}</section>`;
}

async function settle(one, failed) {
  const done = await ask({
    title: t(failed ? 'hq.waiting.failed_title' : 'hq.waiting.taken_title'),
    yes: t(failed ? 'hq.waiting.failed_yes' : 'hq.waiting.taken_yes'),
    danger: failed,
    fields: () => html`<p>${t(failed ? 'hq.waiting.failed_text' : 'hq.waiting.taken_text', { amount: money(one.amount), reference: one.reference ?? '–' })}</p>`,
    send: (data, form, how) => send('/v1/settlements', { claim: one.claim, payment: one.payment, ...(failed ? { failed: true } : {}) }, how),
  });
  if (done) toast(t('hq.waiting.done'), 'good');
}

function waiting(items, here) {
  return html`<section class="card stack"><h2>${t('hq.waiting.head')}</h2>
    ${table({
    caption: t('hq.waiting.table', { amount: money(items.reduce((sum, one) => sum + one.amount, 0)) }),
    rows: items,
    key: (one) => `${one.claim} ${one.payment}`,
    none: t('hq.waiting.none'),
    columns: [
      { head: t('hq.waiting.when'), row: true, cell: (one) => `${time(one.at_ms)} (${age(one.at_ms)})` },
      { head: t('hq.col.device'), cell: (one) => one.seller_name },
      { head: t('hq.takings.tender'), cell: (one) => t(`hq.tender.${one.tender}`) },
      { head: t('hq.waiting.amount'), number: true, cell: (one) => money(one.amount) },
      { head: t('hq.waiting.reference'), cell: (one) => one.reference ?? '–' },
      { head: t('hq.waiting.act'), cell: (one) => (one.seller === here ? html`<div class="row">
        <button @click=${() => settle(one, false)}>${t('hq.waiting.taken')}</button>
        <button class="danger" @click=${() => settle(one, true)}>${t('hq.waiting.failed')}</button></div>` : t('hq.waiting.there', { name: one.seller_name })) },
    ],
  })}</section>`;
}

function receipts(known, found, find) {
  return html`<section class="card stack"><h2>${t('hq.receipts.head')}</h2>
    <form class="row hq-find" role="search" @submit=${find}>
      <label><span>${t('hq.receipts.device')}</span><select name="device">${known.map((one) => html`<option value=${one.device}>${one.name}</option>`)}</select></label>
      <label><span>${t('hq.receipts.number')}</span><input name="number" inputmode="numeric" autocomplete="off"></label>
      <button>${t('hq.receipts.find')}</button>
    </form>
    ${found ? html`<div>${table({
    caption: t('hq.receipts.last', { name: found.name }),
    rows: found.items,
    key: (one) => one.entry,
    none: t('hq.receipts.none'),
    columns: [
      { head: t('hq.receipts.number'), row: true, cell: (one) => html`<button class="plain hq-open" @click=${() => openReceipt(one)}>${number(one.number)}</button>` },
      { head: t('hq.waiting.when'), cell: (one) => time(one.at_ms) },
      { head: t('hq.receipts.kind'), cell: (one) => t(`hq.receipts.${one.kind}`) },
      { head: t('hq.receipts.what'), cell: (one) => one.items.map((item) => t('hq.receipts.item', { count: item.quantity, name: item.name })).join(', ') },
      { head: t('hq.receipts.total'), number: true, cell: (one) => money(one.total) },
    ],
  })}</div>` : nothing}
  </section>`;
}

/** Draws the part into `place`; what it returns ends it. */
export function start(place, frame) {
  const taken = resource('/v1/takings?limit=1000', MONEY, 15_000);
  const waits = resource('/v1/payments/waiting?limit=200', MONEY);
  let found = null;
  const draw = () => {
    const known = [...(taken.data?.items ?? [])].sort((a, b) => byName(a.name, b.name));
    const denied = taken.error?.status === 403;
    render(html`
      ${denied ? html`<div class="note warn">${t('hq.takings.denied')}</div>` : nothing}
      ${taken.error && !denied && !taken.data ? html`<div class="note bad" role="alert">${words(taken.error)}</div>` : nothing}
      ${taken.data ? html`${totals(known)}${byDevice(known)}` : nothing}
      ${waits.data ? waiting(waits.data.items, frame.status()?.device.device) : nothing}
      ${taken.data ? receipts(known, found, find) : nothing}`, place);
  };
  const find = async (event) => {
    event.preventDefault();
    const data = Object.fromEntries(new FormData(event.currentTarget));
    const name = taken.data.items.find((one) => one.device === data.device)?.name ?? '';
    try {
      if (data.number.trim()) await openReceipt(await get(`/v1/receipts/${data.device}/${encodeURIComponent(data.number.trim())}`));
      else found = { name, items: await all(`/v1/receipts?device=${data.device}`, 100) };
    } catch (error) {
      toast(words(error), 'bad');
    }
    draw();
  };
  const news = drawer(draw);
  const ends = [taken.watch(news), waits.watch(news)];
  draw();
  return () => ends.forEach((end) => end());
}
