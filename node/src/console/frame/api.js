/** Calls to this node's API (`/v1`). An act is done once, however often its answer is lost. */

const TOKEN = 'popmesh.token';
const PENDING = 'popmesh.pending';

/** The device that this page is about, once it is known: no other may answer. */
let device = null;

/** What the API said when it did not do what was asked (RFC 9457). */
export class Problem extends Error {
  constructor(status, said) {
    super(said.detail ?? said.title ?? `HTTP ${status}`);
    this.status = status;
    this.code = said.code ?? 'unknown';
    this.facts = said;
    this.retry = said.retry_after_s !== undefined;
  }
}

/** Nobody answered: the node is being started again, or the link to it is cut. */
export class Silence extends Error {}

/** The token that this tablet was paired with; `null` on the node's own screen, which needs none. */
export const token = () => localStorage.getItem(TOKEN);

/** Takes a token, or forgets it. */
export function pair(text) {
  if (text) localStorage.setItem(TOKEN, text);
  else localStorage.removeItem(TOKEN);
}

/** Ties this page to a device. */
export function tie(id) {
  device = id;
}

/** The headers that every call has. */
export function headers(more = {}) {
  const all = { ...more };
  if (token()) all.Authorization = `Bearer ${token()}`;
  if (device) all['Popmesh-Device'] = device;
  return all;
}

async function call(method, path, { body, more, signal } = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: headers({ ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...more }),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store',
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Silence(error.message);
  }
  const text = await answer.text().catch((error) => { throw new Silence(error.message); });
  const json = /json/.test(answer.headers.get('content-type') ?? '');
  const said = json && text ? JSON.parse(text) : text;
  if (!answer.ok) throw new Problem(answer.status, json ? said : { detail: text });
  return said;
}

/** Looks something up. */
export const get = (path, options) => call('GET', path, options);

/** All items of a list, part by part. */
export async function all(path, most = 1000) {
  const items = [];
  let next;
  do {
    const joint = path.includes('?') ? '&' : '?';
    const part = await get(`${path}${joint}limit=${Math.min(most, 1000)}${next ? `&after=${encodeURIComponent(next)}` : ''}`);
    items.push(...part.items);
    next = part.next;
  } while (next && items.length < most);
  return items;
}

function pending() {
  try {
    return JSON.parse(sessionStorage.getItem(PENDING) ?? '[]');
  } catch {
    return [];
  }
}

function keep(acts) {
  sessionStorage.setItem(PENDING, JSON.stringify(acts));
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Acts whose answer this page has not seen: of before it was loaded again, too. */
export const unanswered = () => pending();

const soon = (ms) => new Promise((done) => { setTimeout(done, ms); });
const UNKNOWN = new Set([500, 502, 504]);

/**
 * Does something, under a key of its own that is kept until the answer is here. While nobody answers it is asked again under
 * that key, so a node that was started again in the middle does it once. `waiting` is told when that begins and ends.
 * @returns what the API answered
 * @throws {Problem} what it refused
 */
export async function act(path, body, { method = 'POST', name = path, waiting = () => {}, key = newKey() } = {}) {
  if (!pending().some((one) => one.key === key)) keep([...pending(), { key, method, path, body, name, at: Date.now() }]);
  let waited = false;
  for (;;) {
    try {
      const said = await call(method, path, { body, more: { 'Idempotency-Key': key } });
      keep(pending().filter((one) => one.key !== key));
      if (waited) waiting(false);
      return said;
    } catch (error) {
      const again = error instanceof Silence || (error instanceof Problem && (UNKNOWN.has(error.status) || error.code === 'busy'));
      if (!again) {
        keep(pending().filter((one) => one.key !== key));
        if (waited) waiting(false);
        throw error;
      }
      if (!waited) waiting(true);
      waited = true;
      await soon(500);
    }
  }
}

/** Asks again for what an earlier load of this page had begun and not heard about. */
export const finish = (one, options) => act(one.path, one.body, { ...options, method: one.method, name: one.name, key: one.key });

/** Forgets an act that nobody wants to know about any more. */
export const forget = (key) => keep(pending().filter((one) => one.key !== key));
