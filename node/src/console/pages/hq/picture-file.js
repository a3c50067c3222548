/** Pictures of products: made small enough for the programme, and fetched with this page's rights. */

import { headers } from '../../frame/api.js';

/** What a picture may weigh, and how wide and high it may be. */
export const MOST = { bytes: 8192, side: 512 };

const fetched = new Map();

/**
 * The address of a product's picture in this page: fetched with this page's rights, and kept by its hash. `null` until it is
 * here; `call` is called then.
 */
export function pictureOf(product, call) {
  const { hash } = product.picture;
  if (fetched.has(hash)) return fetched.get(hash);
  fetched.set(hash, null);
  fetch(`/v1/products/${encodeURIComponent(product.sku)}/picture`, { headers: headers() })
    .then((answer) => (answer.ok ? answer.blob() : Promise.reject(new Error(answer.status))))
    .then((blob) => {
      fetched.set(hash, URL.createObjectURL(blob));
      call();
    })
    .catch(() => fetched.delete(hash));
  return null;
}

/** The sizes and qualities that are tried, the best first. */
export function* tries(width, height) {
  for (const side of [256, 192, 128, 96, 64]) {
    const scale = Math.min(1, side / Math.max(width, height));
    for (const quality of [0.85, 0.7, 0.5]) {
      yield { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)), quality };
    }
  }
}

const blobOf = (canvas, quality) => new Promise((done) => { canvas.toBlob(done, 'image/webp', quality); });

/** A file made small enough, as base64; throws if it is no picture. */
export async function shrink(file) {
  const image = await createImageBitmap(file);
  const canvas = document.createElement('canvas');
  for (const { width, height, quality } of tries(image.width, image.height)) {
    Object.assign(canvas, { width, height });
    canvas.getContext('2d').drawImage(image, 0, 0, width, height);
    const blob = await blobOf(canvas, quality);
    if (blob && blob.size <= MOST.bytes) {
      const bytes = new Uint8Array(await blob.arrayBuffer());
      return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
    }
  }
  throw new Error('no size fits');
}
