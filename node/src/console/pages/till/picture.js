/** Pictures of products. They are fetched with the tablet's token, which an address in the page could not carry. */

import { headers } from '../../frame/api.js';

/** Pictures by their hash: an address in this page, or `null` where there is none to be had. */
const known = new Map();

/** The address of a product's picture; `null` while it has none, or until `then` is called. */
export function picture(product, then) {
  const hash = product.picture?.hash;
  if (!hash) return null;
  if (!known.has(hash)) {
    known.set(hash, null);
    load(product.sku, hash, then);
  }
  return known.get(hash);
}

async function load(sku, hash, then) {
  try {
    const answer = await fetch(`/v1/products/${encodeURIComponent(sku)}/picture`, { headers: headers() });
    if (!answer.ok) throw new Error(`${answer.status}`);
    known.set(hash, URL.createObjectURL(await answer.blob()));
    then();
  } catch {
    // A product without a picture is sold all the same; the next load of the page tries again.
  }
}
