/** What can be said of a product's stock: a pure function of what the node tells. Words are made of it in `grid.js`. */

/** States of a drop that sell. */
const SELLS = new Set(['open', 'last_call']);

/** Whether a drop sells at this device now. */
export const sells = (drop) => SELLS.has(drop.state);

/** The drop that a till begins with: one that sells, else one that will, else any; the first by name. */
export function firstDrop(drops) {
  const rank = { open: 0, last_call: 0, announced: 1, planned: 2, closed: 3 };
  return [...drops].sort((a, b) => (rank[a.state] ?? 4) - (rank[b.state] ?? 4) || (a.drop < b.drop ? -1 : 1))[0]?.drop ?? null;
}

/**
 * How a product stands in a drop.
 * @param line its line of `/v1/stock`, if it has one
 * @param drop the drop, as the programme has it
 * @param me this device's key; `venue` where it stands
 * @returns `{state, here, away, aside, others, heard}`
 *   `state`: `ready` (some are here), `ask` (others in reach have some), `apart` (only devices out of reach have some),
 *   `aside` (all that is left is put aside), `sold_out`, `none` (no units were made), `shut` (the drop does not sell);
 *   `here`: units that can be handed over now; `away`: own units that lie elsewhere; `aside`: own units put aside;
 *   `others`: who else has some, by name; `heard`: since when the oldest of that is known, Unix milliseconds
 */
export function standing(line, drop, me, venue) {
  if (!line || line.minted === 0) return { state: drop && !sells(drop) ? 'shut' : 'none', here: 0, away: 0, aside: 0, others: [], heard: null };
  const lies = (line.places ?? []).filter((one) => one.place === venue).reduce((all, one) => all + one.units, 0);
  const here = line.places ? lies : line.own.available;
  const away = Math.max(0, line.own.available - here);
  const aside = line.own.held;
  const others = line.holders
    .filter((one) => one.device !== me && one.units > 0)
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const times = others.map((one) => one.last_heard_ms).filter((at) => at !== undefined && at !== null);
  const heard = times.length > 0 ? Math.min(...times) : null;
  const found = { here, away, aside, others, heard };
  if (drop && !sells(drop)) return { state: 'shut', ...found };
  if (here > 0) return { state: 'ready', ...found };
  if (others.some((one) => one.reachable)) return { state: 'ask', ...found };
  if (others.length > 0) return { state: 'apart', ...found };
  if (away > 0) return { state: 'away', ...found };
  if (aside > 0 || line.mesh.held > 0) return { state: 'aside', ...found };
  return { state: 'sold_out', ...found };
}

/** Whether a product can be put into the cart as it stands. */
export const canAdd = (standing) => ['ready', 'ask', 'apart', 'away', 'aside'].includes(standing.state);

/** Products by category, in an order that does not change while the programme does not: by category, then by name. */
export function byCategory(products, locale = 'en') {
  const compare = new Intl.Collator(locale, { numeric: true }).compare;
  const groups = new Map();
  for (const product of products) {
    const name = product.category ?? '';
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(product);
  }
  const names = [...groups.keys()].sort((a, b) => (a === '') - (b === '') || compare(a, b));
  return names.map((name) => ({
    name,
    products: groups.get(name).sort((a, b) => compare(a.name, b.name) || compare(a.sku, b.sku)),
  }));
}

/** Products whose name, SKU or category has all words of `text`. */
export function matching(products, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const of = (product) => `${product.name} ${product.sku} ${product.category ?? ''}`.toLowerCase();
  return products.filter((product) => words.every((word) => of(product).includes(word)));
}

/** The product that a scanned text names: by its SKU, whatever the case. */
export function bySku(products, text) {
  const wanted = text.trim().toLowerCase();
  return products.find((product) => product.sku.toLowerCase() === wanted) ?? null;
}

/** Whether a scanned text is a token of this system, of a claim or of a cart, whatever stands before it. */
export const isToken = (text) => /popmesh\d+:/i.test(text);

/** One or two letters for a product without a picture. */
export function initials(name) {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const letters = words.length > 1 ? words[0][0] + words[words.length - 1][0] : (words[0] ?? '?').slice(0, 2);
  return letters.toUpperCase();
}
