/** Sums of what devices took; no drawing. */

/** The order in which tenders are shown. */
export const TENDERS = ['cash', 'card', 'voucher', 'other'];

const FIELDS = ['payments', 'taken', 'paid_back', 'net', 'deferred', 'failed', 'rounding', 'cancelled'];

const empty = () => Object.fromEntries(FIELDS.map((field) => [field, 0]));

function add(into, line) {
  for (const field of FIELDS) into[field] += line[field] ?? 0;
  return into;
}

/**
 * Sums of all devices.
 * @param {Array} takings what `/v1/takings` lists
 * @returns {{tenders: Array, total: object, sales: number, sold: number, refunds: number, refunded: number, taxes: Array}}
 *   by tender in the usual order, those that nobody paid with left out; and all together
 */
export function sums(takings) {
  const by = new Map();
  const rates = new Map();
  const all = { sales: 0, sold: 0, refunds: 0, refunded: 0 };
  for (const device of takings) {
    for (const name of Object.keys(all)) all[name] += device[name];
    for (const line of device.tenders) by.set(line.tender, add(by.get(line.tender) ?? empty(), line));
    for (const line of device.taxes ?? []) {
      const known = rates.get(line.rate) ?? { rate: line.rate, net: 0, tax: 0 };
      rates.set(line.rate, { rate: line.rate, net: known.net + line.net, tax: known.tax + line.tax });
    }
  }
  const tenders = TENDERS.filter((tender) => by.has(tender)).map((tender) => ({ tender, ...by.get(tender) }));
  const total = tenders.reduce(add, empty());
  return { ...all, tenders, total, taxes: [...rates.values()].sort((a, b) => a.rate - b.rate) };
}

/** One row for each device and tender that something was paid with. */
export const rowsOf = (takings) => takings.flatMap((device) => device.tenders
  .filter((line) => FIELDS.some((field) => line[field]))
  .map((line) => ({ name: device.name, device: device.device, ...line })));

/** A tax rate in per cent, as typed or shown: basis points there and back. */
export const percent = (points) => points / 100;

/** Basis points of a rate that was typed in per cent; `null` if it is none. */
export function points(text) {
  const match = /^\s*(\d{1,3})(?:[.,](\d{1,2}))?\s*%?\s*$/.exec(text);
  if (!match) return null;
  const value = Number(match[1]) * 100 + Number((match[2] ?? '').padEnd(2, '0') || 0);
  return value <= 10_000 ? value : null;
}

/** An amount in minor units as a person would type it into a field. */
export function typed(minor, digits) {
  if (digits === 0) return String(minor);
  const text = String(Math.abs(minor)).padStart(digits + 1, '0');
  return `${minor < 0 ? '-' : ''}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}
