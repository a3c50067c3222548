/**
 * What the shopper wants, as this page has it. It puts nothing aside and writes nothing: that comes with the sale, or when
 * somebody puts it aside on purpose. Pure functions, so that they can be tested by themselves.
 */

/** Most lines of one sale. */
export const MOST_LINES = 32;

/** Most units of one line that a tap or a typed number can ask for. */
export const MOST_UNITS = 999;

/** An empty one. */
export const empty = () => ({ drop: null, lines: [], aside: null, pickup: '', pin: '', shopper: '' });

/** The same with `by` more units of a SKU; a line that comes to none is gone. */
export function change(basket, sku, by, drop = basket.drop) {
  const found = basket.lines.find((line) => line.sku === sku);
  const quantity = Math.min(MOST_UNITS, Math.max(0, (found?.quantity ?? 0) + by));
  let lines;
  if (!found) lines = quantity > 0 ? [...basket.lines, { sku, quantity }] : basket.lines;
  else if (quantity === 0) lines = basket.lines.filter((line) => line.sku !== sku);
  else lines = basket.lines.map((line) => (line.sku === sku ? { sku, quantity } : line));
  return { ...basket, lines, drop: lines.length > 0 ? drop : null };
}

/** How many units there are of a SKU. */
export const quantityOf = (basket, sku) => basket.lines.find((line) => line.sku === sku)?.quantity ?? 0;

/** How many units there are in all. */
export const units = (basket) => basket.lines.reduce((all, line) => all + line.quantity, 0);

/** What a person typed as a shopper's reference, in the letters that one may have. */
export const reference = (text) => text.trim().replace(/\s+/g, '-').replace(/[^\p{L}\p{N}._-]/gu, '').slice(0, 40);

/** How many serials a set such as `1-5,9` has. */
export function countOf(serials) {
  return serials.split(',').reduce((all, part) => {
    const [from, to] = part.split('-').map(Number);
    return all + (to === undefined ? 1 : to - from + 1);
  }, 0);
}

/** Single serials of a set such as `1-5,9`; at most `most` of them. */
export function serialsOf(serials, most = 200) {
  const all = [];
  for (const part of serials.split(',')) {
    const [from, to] = part.split('-').map(Number);
    for (let serial = from; serial <= (to ?? from) && all.length < most; serial += 1) all.push(serial);
  }
  return all;
}

/** A set such as `1-3,9` of single serials. */
export function setOf(serials) {
  const sorted = [...serials].sort((a, b) => a - b);
  const runs = [];
  for (const serial of sorted) {
    const last = runs.at(-1);
    if (last && serial === last[1] + 1) last[1] = serial;
    else runs.push([serial, serial]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(',');
}

/** Lines of a cart or a claim, one for each SKU and price: where units come from makes no line of its own. */
export function linesOf(items) {
  const lines = new Map();
  for (const item of items) {
    const key = `${item.sku} ${item.unit_price}`;
    const line = lines.get(key) ?? { sku: item.sku, price: item.unit_price, quantity: 0, serials: [] };
    line.quantity += countOf(item.units);
    line.serials.push(item.units);
    lines.set(key, line);
  }
  return [...lines.values()];
}
