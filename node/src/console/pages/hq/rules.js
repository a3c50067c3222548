/** The event's rules for tax, cash, large sales and payments that are authorised later. */

import { resource } from '../../frame/live.js';
import { amount, minorDigits, money, number, t } from '../../frame/text.js';
import { drawer, html, nothing, render, toast, words } from '../../frame/ui.js';
import { Unfit, ask, choice, field, send, whole } from './form.js';
import { byName } from './order.js';
import { devices, learnOwner, mayAct, notice } from './rights.js';
import { typed } from './sums.js';

/** An amount that was typed; the field is named if it is none. */
export function amountOf(text, name) {
  const value = amount(text);
  if (value === null) throw new Unfit(name, t('hq.not_an_amount'));
  return value;
}

async function change(rules) {
  const usual = 'usual';
  const done = await ask({
    title: t('hq.rules.change'),
    yes: t('hq.next'),
    fields: () => html`
      ${choice('prices', t('hq.rules.prices'), ['included', 'excluded'].map((one) => [one, t(`hq.rules.${one}`)]), { value: rules.prices })}
      ${choice('round', t('hq.rules.round'), ['receipt', 'line'].map((one) => [one, t(`hq.rules.round_${one}`)]), { value: rules.round })}
      ${field('cash_coin', t('hq.rules.coin'), { value: typed(rules.cash_coin, minorDigits()), mode: 'decimal', hint: t('hq.rules.coin_hint', { usual: t('hq.rules.usual') }) })}
      ${field('ordinary_wish', t('hq.rules.wish'), { value: String(rules.ordinary_wish), mode: 'numeric', hint: t('hq.rules.wish_hint') })}`,
    review: async (data) => {
      bodyOf(data, usual);
      return { text: html`<p>${t('hq.rules.review')}</p>`, yes: t('hq.rules.yes') };
    },
    send: (data, form, how) => send('/v1/rules', bodyOf(data, usual), how),
  });
  if (done) toast(t('hq.rules.done'), 'good');
}

function bodyOf(data, usual) {
  const coin = data.cash_coin.trim();
  return {
    prices: data.prices,
    round: data.round,
    cash_coin: coin === '' || coin === usual || coin === t('hq.rules.usual') ? 0 : amountOf(coin, 'cash_coin'),
    ordinary_wish: whole(data.ordinary_wish, 'ordinary_wish', 1, 1000),
  };
}

async function limit(known) {
  const done = await ask({
    title: t('hq.rules.limit_change'),
    yes: t('hq.rules.limit_yes'),
    fields: () => html`<p>${t('hq.rules.limit_text')}</p>
      ${choice('device', t('hq.rules.limit_for'), [['', t('hq.rules.limit_all')], ...known.map((one) => [one.device, one.name])])}
      ${field('amount', t('hq.rules.limit_amount'), { mode: 'decimal', hint: t('hq.rules.limit_hint') })}`,
    send: (data, form, how) => send('/v1/limits', {
      ...(data.device ? { device: data.device } : {}),
      ...(data.amount.trim() ? { amount: amountOf(data.amount, 'amount') } : {}),
    }, how),
  });
  if (done) toast(t('hq.rules.done'), 'good');
}

function facts(rules, names) {
  const rows = [
    [t('hq.rules.prices'), t(`hq.rules.${rules.prices}`)],
    [t('hq.rules.round'), t(`hq.rules.round_${rules.round}`)],
    [t('hq.rules.coin'), money(rules.cash_coin)],
    [t('hq.rules.wish'), t('hq.rules.wish_value', { count: rules.ordinary_wish, number: number(rules.ordinary_wish) })],
    [t('hq.rules.limit'), rules.deferred_limit === undefined || rules.deferred_limit === null ? t('hq.rules.no_limit') : t('hq.rules.at_most', { amount: money(rules.deferred_limit) })],
    ...(rules.deferred_limits ?? []).map((one) => [t('hq.rules.limit_on', { name: names.get(one.device) ?? one.device.slice(0, 8) }), t('hq.rules.at_most', { amount: money(one.amount) })]),
  ];
  return html`<dl class="hq-facts">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** Draws the part into `place`; what it returns ends it. */
export function start(place, frame) {
  const live = resource('/v1/rules', ['programme_changed', 'reset']);
  const everybody = devices();
  const draw = () => {
    const known = [...(everybody.data?.items ?? [])].filter((one) => !one.retired_by).sort((a, b) => byName(a.name, b.name));
    const may = mayAct(frame.status());
    render(html`
      ${notice(frame.status(), known)}
      ${live.error && !live.data ? html`<div class="note bad" role="alert">${words(live.error)}</div>` : nothing}
      ${live.data ? html`<section class="card stack"><h2>${t('hq.rules.head')}</h2>${facts(live.data, new Map(known.map((one) => [one.device, one.name])))}
        ${may ? html`<div class="row hq-acts"><button @click=${() => change(live.data)}>${t('hq.rules.change')}</button>
          <button @click=${() => limit(known)}>${t('hq.rules.limit_change')}</button></div>` : nothing}
        <p class="small">${t('hq.rules.text')}</p></section>` : html`<p class="dim">${t('hq.looking')}</p>`}`, place);
  };
  const news = drawer(draw);
  const ends = [live.watch(news), everybody.watch(news)];
  learnOwner().then(news);
  draw();
  return () => ends.forEach((end) => end());
}
