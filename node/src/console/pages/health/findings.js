/** What a check found, in the person's language: by its code and facts; in the node's English where there is no text for it. */

import { format, has, locale, money, number, t, time } from '../../frame/text.js';

/** Facts that are amounts of money, in the event's currency. */
const AMOUNTS = new Set(['amount']);
/** Facts in milliseconds that last, and are no time of day. */
const LAST = new Set(['apart_ms']);

function span(ms) {
  const seconds = Math.round(Math.abs(ms) / 1000);
  const [unit, size] = seconds < 120 ? ['second', 1] : seconds < 7200 ? ['minute', 60] : seconds < 172_800 ? ['hour', 3600] : ['day', 86_400];
  return format('NumberFormat', { style: 'unit', unit, unitDisplay: 'long' }).format(Math.round(seconds / size));
}

function value(name, given) {
  if (Array.isArray(given)) return format('ListFormat', { type: 'conjunction' }).format(given.map(String));
  if (typeof given !== 'number') return String(given);
  if (LAST.has(name)) return span(given);
  if (name.endsWith('_ms')) return time(given);
  if (AMOUNTS.has(name)) return money(given);
  return number(given);
}

/** What is with a device, in words; what there is none of is left out. */
function withIt({ units = 0, claims = 0 }) {
  const parts = [[units, 'health.units'], [claims, 'health.pickups']].filter(([count]) => count > 0);
  return parts.map(([count, key]) => t(key, { count, n: number(count) })).join(', ');
}

/** One device that is out of reach, in a list of several. */
export const away = (one) => t('health.away', { name: one.params.name, what: withIt(one.params) });

/** What comes of no link at all: the first that is there is the cause of the others. */
const CAUSES = ['links_off', 'alone'];

/**
 * Findings by their cause: where no other device is in reach, or several are not, that is one thing to look at, and not one for each.
 * @returns `[{head, away}]`: what is said once, and the devices that it is about
 */
export function byCause(items) {
  const away = items.filter((one) => one.code === 'unreachable').sort((a, b) => a.params.name.localeCompare(b.params.name, locale(), { numeric: true }));
  const cause = CAUSES.map((code) => items.find((one) => one.code === code)).find(Boolean);
  const of = (head) => (head === cause ? away : []);
  if (cause || away.length < 2) {
    const left = cause ? items.filter((one) => one.code !== 'unreachable' && (one === cause || !CAUSES.includes(one.code))) : items;
    return left.map((head) => ({ head, away: of(head) }));
  }
  const several = { ...away[0], code: 'unreachable_several', params: { count: away.length }, device: undefined, since_ms: undefined };
  return items.filter((one) => one.code !== 'unreachable' || one === away[0]).map((head) => (head === away[0] ? { head: several, away } : { head, away: [] }));
}

/** `{text, next}` of a finding; `next` is absent where there is nothing to do. */
export function told(one) {
  const at = `health.codes.${one.code}`;
  if (!has(at)) return { text: one.text, next: one.next };
  const params = Object.fromEntries(Object.entries(one.params ?? {}).map(([name, given]) => [name, value(name, given)]));
  if (one.code === 'unreachable') params.what = withIt(one.params);
  const text = t(`${at}.text`, params);
  // A text that wants a fact which this node does not tell is worse than the node's own words.
  if (/\{\w+\}/.test(text)) return { text: one.text, next: one.next };
  return { text, next: one.severity === 'ok' ? undefined : has(`${at}.next`) ? t(`${at}.next`, params) : one.next };
}
