/** Texts, numbers, money and time, in the language that the person reads. All texts are in `/texts/<language>.json`. */

/** Languages that there are texts in, by their own names. A third one is a file in `texts/` and a line here. */
export const LANGUAGES = { en: 'English', de: 'Deutsch' };

/** How numbers and times are written, where that is not as the language alone has it: an event counts 24 hours. */
const LOCALES = { en: 'en-GB' };

const KEPT = 'popmesh.language';
let texts = {};
let now = 'en';
let plural = new Intl.PluralRules('en');
let currency = 'EUR';

/** The language that is shown: what was chosen, else the browser's first that there are texts in. */
export function wanted() {
  const chosen = localStorage.getItem(KEPT);
  const first = [chosen, ...navigator.languages.map((one) => one.slice(0, 2))];
  return first.find((one) => one in LANGUAGES) ?? 'en';
}

/** Loads the texts of a language; keeps the choice if it was one. */
export async function load(language, chosen = false) {
  const answer = await fetch(`/texts/${language}.json`);
  if (!answer.ok) throw new Error(`no texts in ${language}`);
  texts = await answer.json();
  now = language;
  plural = new Intl.PluralRules(language);
  document.documentElement.lang = language;
  if (chosen) localStorage.setItem(KEPT, language);
}

/** The language that is shown now. */
export const language = () => now;

/** What `Intl` is given: the language, as the event writes numbers and times. */
export const locale = () => LOCALES[now] ?? now;

const formats = new Map();

/** The format of `Intl` in the language that is shown, such as `NumberFormat`. To make one takes a hundred times as long as to use it. */
export function format(kind, options = {}) {
  const key = `${kind} ${locale()} ${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new Intl[kind](locale(), options));
  return formats.get(key);
}

/** Takes the event's currency, an ISO 4217 code. */
export function useCurrency(code) {
  if (code) currency = code;
}

function find(key) {
  return key.split('.').reduce((part, name) => part?.[name], texts);
}

/** Whether there is a text under this key. */
export const has = (key) => find(key) !== undefined;

/**
 * The text under `key`, such as `till.pay`, with `{name}` filled in from `values`. Where the text has forms
 * (`one`, `other`), `values.count` chooses.
 */
export function t(key, values = {}) {
  let text = find(key);
  if (text && typeof text === 'object') text = text[plural.select(Number(values.count))] ?? text.other;
  if (typeof text !== 'string') return key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** A number as people write it. */
export const number = (value) => format('NumberFormat').format(value);

/** An amount in minor units of the event's currency. */
export function money(minor) {
  return format('NumberFormat', { style: 'currency', currency }).format(minor / 10 ** minorDigits());
}

/** How many digits the currency's minor unit has. */
export const minorDigits = () =>
  format('NumberFormat', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits;

/** What a person typed as an amount, in minor units; `null` if it is none. */
export function amount(text) {
  const digits = minorDigits();
  const match = /^\s*(\d{1,9})(?:[.,](\d*))?\s*$/.exec(text);
  if (!match || (match[2] ?? '').length > digits) return null;
  return Number(match[1]) * 10 ** digits + Number((match[2] ?? '').padEnd(digits, '0') || 0);
}

/** The time of day of Unix milliseconds; with the day if it is not today. */
export function time(ms) {
  const day = new Date(ms).toDateString() === new Date().toDateString() ? {} : { day: 'numeric', month: 'short' };
  return format('DateTimeFormat', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...day }).format(ms);
}

/** How long ago that was, in words. */
export function age(ms) {
  const seconds = Math.max(0, Math.round((Date.now() - ms) / 1000));
  const unit = seconds < 60 ? 'second' : seconds < 3600 ? 'minute' : seconds < 86400 ? 'hour' : 'day';
  const size = { second: 1, minute: 60, hour: 3600, day: 86400 }[unit];
  return format('RelativeTimeFormat', { numeric: 'auto' }).format(-Math.floor(seconds / size), unit);
}
