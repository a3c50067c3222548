/** What this tablet's token may do. */

import { get, token } from './api.js';

let asked = null;

/**
 * The scope of this tablet's token, looked up once; `null` for the owner's, and on the node's own screen, which needs none. Fails where
 * the node does not answer; it is then looked up again the next time.
 */
export function ownScope() {
  if (!token()) return Promise.resolve(null);
  asked ??= get('/v1/access/own').then((said) => said.scope ?? null);
  asked.catch(() => { asked = null; });
  return asked;
}
