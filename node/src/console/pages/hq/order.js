/** The order of lists that change while somebody reads them. */

/**
 * Items in an order in which none moves: those that were there keep their places, those that are gone are left out, and new
 * ones come at the end. `kept` is the order of ids as it was, and is brought up to date.
 * @param {Array<string>} kept the ids in the order in which they are shown
 * @param {Array} items what is there now, in the order that new ones are to have
 * @param {(item: any) => string} id what names an item
 * @returns {Array} the items in the order to show
 */
export function steady(kept, items, id) {
  const by = new Map(items.map((item) => [id(item), item]));
  const known = kept.filter((one) => by.has(one));
  const seen = new Set(known);
  const come = items.map(id).filter((one) => !seen.has(one));
  kept.splice(0, kept.length, ...known, ...come);
  return kept.map((one) => by.get(one));
}

/** Compares names as people sort them: `till-2` before `till-10`. */
const names = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });
export const byName = (a, b) => names.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
