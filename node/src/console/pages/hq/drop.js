/** A drop: planned, and taken through its steps. */

import { get } from '../../frame/api.js';
import { t, time } from '../../frame/text.js';
import { html, stylesheet, toast, words } from '../../frame/ui.js';
import { announce, close, lastCall, open } from '../encoder/steps.js';
import { Unfit, ask, choice, field, needed, send, whole } from './form.js';

/** Which steps a drop can take from a state, the usual one first; `again` begins a new round. */
export const STEPS = {
  planned: [{ step: 'announce' }, { step: 'open' }],
  announced: [{ step: 'open' }, { step: 'close' }],
  open: [{ step: 'last_call' }, { step: 'close' }],
  last_call: [{ step: 'close' }],
  closed: [{ step: 'open', again: true }, { step: 'announce', again: true }],
};

/** A local time that was typed (`2026-12-01T21:30`), in Unix milliseconds. Nothing typed is `undefined`. */
export function moment(text, name) {
  if (!text?.trim()) return undefined;
  const ms = new Date(text).getTime();
  if (!Number.isFinite(ms)) throw new Unfit(name, t('hq.not_a_time'));
  return ms;
}

/** What a planned drop is, as the API wants it. */
export function planOf(data) {
  const hours = data.pickup.trim();
  const ends = moment(data.ends, 'ends');
  return {
    drop: needed(data.drop, 'drop'),
    title: needed(data.title, 'title'),
    ...(ends === undefined ? {} : { ends_ms: ends }),
    ...(hours ? { pickup_within_ms: whole(hours, 'pickup', 1, 8784) * 3_600_000, unclaimed: data.unclaimed } : {}),
  };
}

/** Plans a drop. */
export async function planDrop() {
  const done = await ask({
    title: t('hq.drop.plan_title'),
    yes: t('hq.drop.plan'),
    fields: () => html`
      ${field('drop', t('hq.drop.id'), { hint: t('hq.drop.id_hint') })}
      ${field('title', t('hq.drop.title'), { max: 80 })}
      ${field('ends', t('hq.drop.ends'), { type: 'datetime-local', hint: t('hq.drop.ends_hint') })}
      ${field('pickup', t('hq.drop.pickup'), { mode: 'numeric', hint: t('hq.drop.pickup_hint') })}
      ${choice('unclaimed', t('hq.drop.unclaimed'), ['keep', 'refund', 'forfeit'].map((one) => [one, t(`hq.drop.unclaimed_${one}`)]))}`,
    send: (data, form, how) => send('/v1/drops', planOf(data), how),
  });
  if (done) toast(t('hq.drop.planned', { title: done.title }), 'good');
}

/** The steps, as the stream's page asks for them. */
const DO = { announce, open, last_call: lastCall, close };

/** Takes a drop through a step, for all venues or for one; each says what it will do with the numbers of now. */
export async function stepDrop(drop, { step, again }, venue) {
  await stylesheet('/pages/encoder/page.css');
  try {
    const board = await get(`/v1/drops/${encodeURIComponent(drop.drop)}/board`);
    const began = performance.now();
    await DO[step]({ board, venue, again, nowMs: () => board.now_ms + performance.now() - began, waiting: () => {} });
  } catch (error) {
    toast(words(error), 'bad');
  }
}

/** A drop's state in words, with the venues that differ and the hard end. */
export function stateWords(drop) {
  const parts = [t(`hq.drop.state.${drop.state}`)];
  for (const one of drop.venues ?? []) parts.push(t('hq.drop.differs', { venue: one.venue, state: t(`hq.drop.state.${one.state}`) }));
  if (drop.ends_ms) parts.push(t(drop.ended ? 'hq.drop.ended' : 'hq.drop.ends_at', { when: time(drop.ends_ms) }));
  return parts.join(' · ');
}
