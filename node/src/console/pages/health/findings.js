/** What a check found, in the person's language: by its code and facts; in the node's English where there is no text for it. */

import { has, locale, money, t, time } from '../../frame/text.js';

/** Facts that are amounts of money, in the event's currency. */
const AMOUNTS = new Set(['amount']);
/** Facts in milliseconds that last, and are no time of day. */
const LAST = new Set(['apart_ms']);

function span(ms) {
  const seconds = Math.round(Math.abs(ms) / 1000);
  const [unit, size] = seconds < 120 ? ['second', 1] : seconds < 7200 ? ['minute', 60] : seconds < 172_800 ? ['hour', 3600] : ['day', 86_400];
  return new Intl.NumberFormat(locale(), { style: 'unit', unit, unitDisplay: 'long' }).format(Math.round(seconds / size));
}

function value(name, given) {
  if (Array.isArray(given)) return new Intl.ListFormat(locale(), { type: 'conjunction' }).format(given.map(String));
  if (typeof given !== 'number') return String(given);
  if (LAST.has(name)) return span(given);
  if (name.endsWith('_ms')) return time(given);
  if (AMOUNTS.has(name)) return money(given);
  return new Intl.NumberFormat(locale()).format(given);
}

/** `{text, next}` of a finding; `next` is absent where there is nothing to do. */
export function told(one) {
  const at = `health.codes.${one.code}`;
  if (!has(at)) return { text: one.text, next: one.next };
  const params = Object.fromEntries(Object.entries(one.params ?? {}).map(([name, given]) => [name, value(name, given)]));
  const text = t(`${at}.text`, params);
  // A text that wants a fact which this node does not tell is worse than the node's own words.
  if (/\{\w+\}/.test(text)) return { text: one.text, next: one.next };
  return { text, next: one.severity === 'ok' ? undefined : has(`${at}.next`) ? t(`${at}.next`, params) : one.next };
}
