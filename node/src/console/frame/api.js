/** Calls to this node's API (`/v1`). An act is done once, however often its answer is lost. */

import { begin, end, newKey, ours, unanswered } from './acts.js';
import { token } from './keeps.js';

export { pair, token } from './keeps.js';
export { forget, unanswered } from './acts.js';

/** How long an answer may take: longer than the node itself lets it, milliseconds. */
const PATIENCE = 45_000;
/** How long to wait before asking again where nobody answered, at first and at most, milliseconds. */
const AGAIN = [400, 3000];
/** How often a defect of the node is asked again. */
const DEFECTS = 3;

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

const shut = new Set();
/** Why this page asks nothing more: a node shuts out an address that goes on showing it a bad token. */
let over = null;

/**
 * Calls back when this page may not go on: its token is good no more (401), or another device answers (421). Ends with what it
 * returns.
 */
export function onShut(call) {
  shut.add(call);
  return () => shut.delete(call);
}

/** Tells the frame of a problem that ends all pages; others are for whoever asked. */
export function tellShut(problem) {
  if (shut.size === 0 || (problem.status !== 401 && problem.code !== 'other_device')) return;
  over ??= problem;
  shut.forEach((call) => call(problem));
}

/** Whether this page may go on asking. */
export const isShut = () => over !== null;

async function send(method, path, { body, more, signal, patience = PATIENCE } = {}) {
  const late = AbortSignal.timeout(patience);
  const either = new AbortController();
  const stop = () => either.abort();
  [late, signal].forEach((one) => one?.addEventListener('abort', stop));
  if (signal?.aborted) stop();
  try {
    const answer = await fetch(path, {
      method,
      headers: headers({ ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...more }),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store',
      signal: either.signal,
    });
    return [answer, await answer.text()];
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Silence(error.message);
  } finally {
    [late, signal].forEach((one) => one?.removeEventListener('abort', stop));
  }
}

async function call(method, path, options) {
  if (over && !options?.knock) throw over;
  const [answer, text] = await send(method, path, options);
  const json = /json/.test(answer.headers.get('content-type') ?? '');
  let said;
  try {
    said = json && text ? JSON.parse(text) : text;
  } catch {
    throw new Silence('the answer was cut');
  }
  if (answer.ok) return said;
  const problem = new Problem(answer.status, json ? said : { detail: text || undefined });
  tellShut(problem);
  throw problem;
}

/** Looks something up. With `knock` also where the page was shut: to see whether it still is. */
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

const soon = (ms) => new Promise((done) => { setTimeout(done, ms); });
/** Answers after which nobody knows yet whether it was done, or that ask for patience: the same key asks again. */
const AGAIN_CODES = new Set(['busy', 'stopping', 'timeout', 'not_answered', 'in_progress', 'too_many_requests', 'too_many_at_once', 'body_cut', 'body_slow']);

function again(error, defects) {
  if (error instanceof Silence) return true;
  if (!(error instanceof Problem)) return false;
  return AGAIN_CODES.has(error.code) || error.status === 502 || (error.code === 'internal' && defects < DEFECTS);
}

/**
 * Does something, under a key of its own that is kept until the answer is here. While nobody answers it is asked again under
 * that key, so a node that was started again in the middle does it once. `name` says in the person's language what it is: it is
 * told when the page was loaded again in the meantime. `waiting` is told when asking again begins and ends.
 * @returns what the API answered
 * @throws {Problem} what it refused
 */
export async function act(path, body, { method = 'POST', name = '', waiting = () => {}, key = newKey() } = {}) {
  begin({ key, method, path, body, name });
  const patience = PATIENCE + (Number(body?.wait_ms) || 0);
  let waited = false;
  let defects = 0;
  for (let pause = AGAIN[0]; ; pause = Math.min(pause * 1.6, AGAIN[1])) {
    try {
      const said = await call(method, path, { body, patience, more: { 'Idempotency-Key': key } });
      end(key);
      return said;
    } catch (error) {
      defects += error.code === 'internal' ? 1 : 0;
      if (!again(error, defects)) {
        // Whether it was done is not known if the token ended under way, or another device came to answer: that stays.
        if (error.status !== 401 && error.code !== 'other_device') end(key);
        throw error;
      }
      if (!waited) waiting(true);
      waited = true;
      await soon(Math.max(pause, 1000 * Math.min(error.facts?.retry_after_s ?? 0, 30)));
    } finally {
      if (waited && !unanswered().some((one) => one.key === key)) waiting(false);
    }
  }
}

/**
 * Asks again for what an earlier load of this page had begun and not heard about; `null` where that was by another token, whose
 * keys are others: asking would do it a second time.
 */
export function finish(one, options) {
  if (!ours(one)) return null;
  return act(one.path, one.body, { ...options, method: one.method, name: one.name, key: one.key });
}
