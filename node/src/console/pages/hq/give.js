/** Stock that is moved by hand: given to another device, carried to another place, or taken out of sale. */

import { all, get } from '../../frame/api.js';
import { number, t, time } from '../../frame/text.js';
import { html, toast, words } from '../../frame/ui.js';
import { ask, choice, field, needed, send, whole } from './form.js';
import { byName } from './order.js';

/** Which units a form means: serials if some are named, else so many. */
export function units(data) {
  const serials = data.serials?.trim();
  return serials ? { serials: serials.replace(/\s+/g, '') } : { count: whole(data.count, 'count') };
}

/** Those units in words. */
export function unitWords(data, name) {
  const serials = data.serials?.trim();
  return serials ? t('hq.units.serials', { serials, name }) : t('hq.units.count', { number: number(Number(data.count)), name });
}

const key = (line) => `${line.drop} ${line.sku}`;

/** The lines of which this device has units that it could give, with their names. */
async function own() {
  const [lines, programme] = await Promise.all([all('/v1/stock'), get('/v1/programme')]);
  const names = new Map(programme.products.map((one) => [one.sku, one.name]));
  return lines.map((line) => ({ ...line, name: names.get(line.sku) ?? line.sku }));
}

/** The fields that name units: what, how many, or which. */
function unitFields(lines, line, free) {
  return html`
    ${choice('line', t('hq.units.what'), lines.map((one) => [key(one), t('hq.units.line', { name: one.name, drop: one.drop, number: number(free(one)) })]), {
    value: key(line),
  })}
    ${field('count', t('hq.units.how_many'), { value: '1', mode: 'numeric' })}
    ${field('serials', t('hq.units.which'), { hint: t('hq.units.which_hint') })}`;
}

async function askUnits({ title, yes, drop, sku, free, none, more, review, path, body, done }) {
  let lines;
  try {
    lines = (await own()).filter((line) => free(line) > 0);
  } catch (error) {
    toast(words(error), 'bad');
    return;
  }
  const line = lines.find((one) => one.drop === drop && one.sku === sku) ?? lines[0];
  if (!line || (sku && line.sku !== sku)) {
    toast(none, 'warn');
    return;
  }
  const of = (data) => lines.find((one) => key(one) === data.line);
  const extra = await more();
  const said = await ask({
    title,
    yes: t('hq.next'),
    fields: () => html`${unitFields(lines, line, free)}${extra}`,
    review: async (data) => {
      body(data, of(data));
      return { text: await review(data, of(data)), yes, danger: true };
    },
    send: (data, form, how) => send(path, body(data, of(data)), how),
  });
  if (said) toast(done(said), 'good');
}

/** Gives units of this device to another: `to`, `drop` and `sku` are chosen first, if they are named. */
export async function giveTo({ to, drop, sku } = {}) {
  let others = [];
  await askUnits({
    title: to ? t('hq.give.title_to', { name: to }) : t('hq.give.title'),
    yes: t('hq.give.yes'),
    drop,
    sku,
    free: (line) => line.own.available,
    none: t('hq.give.none'),
    more: async () => {
      const known = await all('/v1/devices');
      const here = (await get('/v1/status')).device.device;
      others = known.filter((one) => one.device !== here && !one.retired_by).sort((a, b) => byName(a.name, b.name));
      return choice('to', t('hq.give.to'), others.map((one) => [one.name, one.reachable ? one.name : t('hq.far', { name: one.name })]), { value: to });
    },
    review: async (data, line) => {
      const other = others.find((one) => one.name === data.to);
      return html`<p>${t('hq.give.review', { units: unitWords(data, line.name), to: data.to })}</p>
        ${other && !other.reachable ? html`<div class="note warn">${t('hq.give.far', { name: other.name, when: other.last_heard_ms ? time(other.last_heard_ms) : t('hq.never') })}</div>` : ''}`;
    },
    path: '/v1/transfers',
    body: (data, line) => ({ drop: line.drop, sku: line.sku, units: units(data), to: needed(data.to, 'to') }),
    done: (said) => t('hq.give.done', { serials: said.units, sku: said.sku }),
  });
}

/** Says that units of this device lie somewhere else from now on. */
export async function move({ drop, sku } = {}) {
  await askUnits({
    title: t('hq.move.title'),
    yes: t('hq.move.yes'),
    drop,
    sku,
    free: (line) => line.own.available,
    none: t('hq.give.none'),
    more: async () => {
      const [lines, known] = await Promise.all([all('/v1/stock'), all('/v1/devices')]);
      const places = new Set([...known.map((one) => one.venue), ...lines.flatMap((line) => line.places.map((one) => one.place))]);
      return html`${field('place', t('hq.move.place'), { list: 'hq-places', hint: t('hq.move.hint') })}
        <datalist id="hq-places">${[...places].sort(byName).map((place) => html`<option value=${place}></option>`)}</datalist>`;
    },
    review: async (data, line) => html`<p>${t('hq.move.review', { units: unitWords(data, line.name), place: data.place.trim() })}</p>`,
    path: '/v1/moves',
    body: (data, line) => ({ drop: line.drop, sku: line.sku, units: units(data), place: needed(data.place, 'place') }),
    done: (said) => t('hq.move.done', { serials: said.units, sku: said.sku }),
  });
}

/** Takes units of this device out of sale: damaged, missing, or printed twice. */
export async function damage({ drop, sku } = {}) {
  await askUnits({
    title: t('hq.damage.title'),
    yes: t('hq.damage.yes'),
    drop,
    sku,
    free: (line) => line.own.available + (line.own.frozen ?? 0),
    none: t('hq.give.none'),
    more: async () => '',
    review: async (data, line) => html`<p>${t('hq.damage.review', { units: unitWords(data, line.name) })}</p>`,
    path: '/v1/damage',
    body: (data, line) => ({ drop: line.drop, sku: line.sku, units: units(data) }),
    done: (said) => t('hq.damage.done', { serials: said.units, sku: said.sku }),
  });
}
