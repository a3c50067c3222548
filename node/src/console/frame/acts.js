/**
 * Acts whose answer is not here yet, kept for as long as this tab lives. An act that is under way when the page is loaded again, or
 * when the node is started again, is found here and asked about under its key.
 */

import { token } from './keeps.js';

const PENDING = 'popmesh.pending';

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(PENDING) ?? '[]');
  } catch {
    return [];
  }
}

function keep(acts) {
  try {
    sessionStorage.setItem(PENDING, JSON.stringify(acts));
  } catch {
    // A browser that keeps nothing does it all the same; only a reload forgets it.
  }
}

/** Names a token without telling it: each token's keys are its own. */
function whose() {
  let sum = 2166136261;
  for (const letter of token() ?? '') sum = Math.imul(sum ^ letter.codePointAt(0), 16777619);
  return sum >>> 0;
}

/** A key that no other act has. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Notes an act before it is sent. */
export function begin(one) {
  if (!read().some((other) => other.key === one.key)) keep([...read(), { ...one, by: whose(), at: Date.now() }]);
}

/** Its answer is here. */
export const end = (key) => keep(read().filter((one) => one.key !== key));

/** Acts whose answer this page has not seen, of before it was loaded again too: `{key, method, path, body, name, at}`. */
export const unanswered = read;

/** Forgets an act that nobody wants to know about any more. */
export const forget = end;

/** Forgets all: another device answers now. */
export const forgetAll = () => keep([]);

/** Whether an act was begun with the token that is here now. */
export const ours = (one) => one.by === whose();
