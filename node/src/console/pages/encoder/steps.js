/** The steps of a drop: each asks, says what will happen, and is written down under a key of its own. */

import { Problem, act } from '../../frame/api.js';
import { number, t, time } from '../../frame/text.js';
import { dialog, html, nothing, toast, words } from '../../frame/ui.js';
import { isExact, left } from './stock.js';

/** Kinds of steps, in their order. */
export const KINDS = ['announce', 'open', 'last_call', 'close'];

/** The state of a drop as a shape, so that it is not colour alone. */
export const SIGNS = { planned: '○', announced: '◔', open: '●', last_call: '◑', closed: '■' };

/** Writes a step. Resolves with what the node says of the drop then, or `null` if it refused. */
async function write(drop, step, waiting) {
  try {
    const done = await act(`/v1/drops/${encodeURIComponent(drop)}/steps`, step, { name: t(`encoder.steps.${step.step}`), waiting });
    toast(t(done.written ? `encoder.written.${step.step}` : 'encoder.done_before', { time: time(done.step.at_ms), by: done.step.by_name }), 'good');
    return done;
  } catch (error) {
    toast(error instanceof Problem && error.code === 'step_unfit' ? t('encoder.unfit', { state: t(`encoder.states.${error.facts.state}`) }) : words(error), 'bad');
    return null;
  }
}

function ask(title, points, yes, danger) {
  return dialog(title, (close) => html`
    <ul class="encoder-points">${points.filter(Boolean).map((point) => html`<li>${point}</li>`)}</ul>
    <div class="row end">
      <button @click=${() => close(false)}>${t('frame.cancel')}</button>
      <button class=${danger ? 'danger encoder-sure' : 'primary'} @click=${() => close(true)}>${yes}</button>
    </div>`);
}

/** Where it happens, in words. */
const at = (venue) => (venue ? t('encoder.at_venue', { venue }) : t('encoder.at_all'));

/** Opens, and asks first. `again`: after a close, in a round of its own. */
export async function open({ board, venue, again, waiting }) {
  const points = [
    t('encoder.open_points.sell', { where: at(venue) }),
    again ? t('encoder.open_points.again') : '',
    t('encoder.open_points.stock', { left: left(board.total, isExact(board)) }),
    board.cut_off.length ? t('encoder.open_points.away', { who: board.cut_off.map((one) => one.name).join(', ') }) : '',
  ];
  const title = t(again ? 'encoder.open_again_title' : 'encoder.open_title', { drop: board.title });
  if (!await ask(title, points, t(again ? 'encoder.open_again' : 'encoder.steps.open'), false)) return null;
  return write(board.drop, { step: 'open', ...(venue ? { venue } : {}), ...(again ? { again: true } : {}) }, waiting);
}

/** Last call: nothing changes but what is said, so it does not ask. */
export const lastCall = ({ board, venue, waiting }) => write(board.drop, { step: 'last_call', ...(venue ? { venue } : {}) }, waiting);

/** Closes, and asks first: what stops, what ends, what stays. */
export async function close({ board, venue, waiting }) {
  const points = [
    t('encoder.close_points.stop', { where: at(venue) }),
    t('encoder.close_points.carts'),
    t('encoder.close_points.stay', { left: left(board.total, isExact(board)) }),
    board.cut_off.length ? t('encoder.close_points.away', { who: board.cut_off.map((one) => one.name).join(', ') }) : '',
    t('encoder.close_points.again'),
  ];
  if (!await ask(t('encoder.close_title', { drop: board.title, where: at(venue) }), points, t('encoder.close_now'), true)) return null;
  return write(board.drop, { step: 'close', ...(venue ? { venue } : {}) }, waiting);
}

/** A time that a person gave in this tablet's own zone, as Unix milliseconds. */
const asMs = (text) => (text ? new Date(text).getTime() : null);

/** What `input type=datetime-local` takes. */
function asLocal(ms) {
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 16);
}

/** Announces: how many of each, and the hard end if there is one. `nowMs` is the node's clock. */
export async function announce({ board, again, nowMs, waiting }) {
  const units = new Map(board.skus.map((sku) => [sku.sku, sku.announced]));
  let ends = '';
  const step = await dialog(t(again ? 'encoder.announce_again_title' : 'encoder.announce_title', { drop: board.title }), (done, redraw) => {
    const soon = (minutes) => () => {
      ends = asLocal(nowMs() + minutes * 60_000);
      redraw();
    };
    const over = ends && asMs(ends) <= nowMs();
    const submit = (event) => {
      event.preventDefault();
      if (over) return;
      done({ step: 'announce', units: Object.fromEntries(units), ...(ends ? { ends_ms: asMs(ends) } : {}), ...(again ? { again: true } : {}) });
    };
    return html`<form class="stack" @submit=${submit}>
      <p>${t('encoder.announce_text')}</p>
      ${board.skus.map((sku) => html`<label><span>${sku.name ?? sku.sku}</span>
        <input type="number" inputmode="numeric" min="0" step="1" required .value=${String(units.get(sku.sku))} @input=${(event) => { units.set(sku.sku, Number(event.target.value)); }}></label>`)}
      <label><span>${t('encoder.hard_end')}</span><input type="datetime-local" .value=${ends} @input=${(event) => {
        ends = event.target.value;
        redraw();
      }}></label>
      <div class="row">${[30, 60, 90].map((minutes) => html`<button type="button" @click=${soon(minutes)}>${t('encoder.in_minutes', { n: minutes })}</button>`)}
        ${ends ? html`<button type="button" @click=${() => {
          ends = '';
          redraw();
        }}>${t('encoder.no_end')}</button>` : nothing}</div>
      <p class="small">${t('encoder.hard_end_text')}</p>
      ${over ? html`<p class="note bad" role="alert">${t('encoder.end_over')}</p>` : nothing}
      <div class="row end"><button type="button" @click=${() => done()}>${t('frame.cancel')}</button><button class="primary">${t('encoder.steps.announce')}</button></div>
    </form>`;
  });
  return step ? write(board.drop, step, waiting) : null;
}

/** The steps that happened: what, where, when and by whom. */
export function stepsView(steps) {
  if (steps.error instanceof Problem && !steps.data) return html`<p class="note warn">${words(steps.error)}</p>`;
  const items = steps.data?.items ?? [];
  return html`<section class="card stack encoder-steps" aria-labelledby="encoder-steps"><h2 id="encoder-steps">${t('encoder.happened')}</h2>
    ${items.length === 0 ? html`<p class="dim">${t('encoder.nothing_yet')}</p>` : html`<ol class="encoder-list">${items.map((one) => html`<li>
      <b>${t(`encoder.did.${one.step}`)}</b>${one.round > 0 ? html` <span class="small">${t('encoder.round', { n: number(one.round + 1) })}</span>` : nothing}
      ${one.venue ? html` <span>${at(one.venue)}</span>` : nothing}<br>
      <span class="small">${time(one.at_ms)} · ${one.by_name}${one.units?.length ? ` · ${one.units.map((unit) => `${number(unit.units)} × ${unit.sku}`).join(', ')}` : ''}${
        one.ends_ms ? ` · ${t('encoder.ends_at', { time: time(one.ends_ms) })}` : ''}${one.counts === false ? ` · ${t('encoder.counts_not')}` : ''}</span></li>`)}</ol>`}
  </section>`;
}
