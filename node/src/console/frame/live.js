/** What this page knows, kept up to date by the node's events (`/v1/events`). */

import { Problem, get, headers, isShut, tellShut } from './api.js';

/** How long changes are gathered before a thing is looked up again, milliseconds: at most four looks a second. */
const GATHER = 250;
/** A look that took long is followed by a pause of so many times as long: a slow device has its time for other things. */
const EASE = 2;
/** How soon it is tried again where nobody answers: at first and at most, milliseconds. */
const AGAIN = [500, 5000];
/** The node says something at least each 15 s; a stream that is silent for so long is cut, milliseconds. */
const DEAD = 35_000;
/** So many places are remembered before those that nobody looks at are forgotten. */
const MOST = 64;

const places = new Map();
const listeners = new Set();
const watchers = new Set();
const waiters = new Set();
let waiting = false;
let last = null;
let knock = () => {};

/** How it stands with the stream: `live`, or `lost` since a time. */
export const connection = { state: 'starting', since: Date.now(), problem: null };

/** Calls back when the connection comes or goes. Ends with what it returns. */
export function onConnection(call) {
  watchers.add(call);
  return () => watchers.delete(call);
}

function become(state, problem = null) {
  if (connection.state === state && connection.problem?.code === problem?.code) return;
  if (connection.state !== state) connection.since = Date.now();
  connection.state = state;
  connection.problem = problem;
  each(watchers, connection);
}

/** Calls back with whether something that is shown was not answered yet, now and whenever that changes. Ends with what it returns. */
export function onWaiting(call) {
  waiters.add(call);
  call(waiting);
  return () => waiters.delete(call);
}

function tellWaiting() {
  const now = [...places.values()].some((one) => one.isWatched() && one.data === undefined && one.error === null);
  if (now === waiting) return;
  waiting = now;
  each(waiters, now);
}

/** Calls all of them; what one throws is no other's. */
function each(calls, said) {
  for (const call of [...calls]) {
    try {
      call(said);
    } catch (error) {
      reportError(error);
    }
  }
}

/** Calls back with each event `{kind, data}`. Ends with what it returns. */
export function onEvent(call) {
  listeners.add(call);
  return () => listeners.delete(call);
}

/** What is at one path: looked up once for all who want it. */
class Place {
  constructor(path) {
    Object.assign(this, { path, data: undefined, error: null, at: null });
    this.resources = new Map();
    this.timer = null;
    this.asking = false;
    this.stale = true;
    this.pause = AGAIN[0];
  }

  watchers() {
    return [...this.resources.values()].flatMap((one) => [...one.watchers]);
  }

  isWatched() {
    return [...this.resources.values()].some((one) => one.watchers.size > 0);
  }

  touch() {
    this.stale = true;
    if (this.isWatched()) this.soon(GATHER);
  }

  soon(ms) {
    if (this.timer === null && !this.asking) this.timer = setTimeout(() => this.look(), ms);
  }

  async look() {
    this.timer = null;
    if (this.asking || !this.isWatched()) return;
    this.asking = true;
    this.stale = false;
    const began = performance.now();
    try {
      this.data = await get(this.path);
      this.error = null;
      this.at = Date.now();
      this.pause = AGAIN[0];
    } catch (error) {
      this.error = error;
      this.stale = true;
    }
    this.asking = false;
    each(this.watchers(), this);
    tellWaiting();
    if (!this.stale || !this.isWatched()) return;
    const took = performance.now() - began;
    if (this.error === null) this.soon(Math.max(GATHER, EASE * took));
    else if (connection.state !== 'lost' && (!(this.error instanceof Problem) || this.error.retry)) {
      this.soon(this.pause);
      this.pause = Math.min(this.pause * 2, AGAIN[1]);
    }
  }
}

/** One thing of the API, and after which events it is looked up again for those who watch it here. */
class Resource {
  constructor(place, kinds, every) {
    this.place = place;
    this.kinds = new Set(kinds);
    this.every = every;
    this.watchers = new Set();
    this.ticking = null;
  }

  /** What the API said last; `undefined` before. */
  get data() { return this.place.data; }

  /** Why it could not be looked up the last time; `null` if it could. `data` is then what was said before. */
  get error() { return this.place.error; }

  /** When it was looked up, Unix milliseconds. */
  get at() { return this.place.at; }

  /** Calls back whenever there is something new. Ends with what it returns. */
  watch(call) {
    this.watchers.add(call);
    if (!places.has(this.place.path)) places.set(this.place.path, this.place);
    if (this.place.stale) this.place.soon(0);
    tellWaiting();
    if (this.every && !this.ticking) this.ticking = setInterval(() => this.touch(), this.every);
    return () => {
      this.watchers.delete(call);
      if (this.watchers.size > 0) return;
      clearInterval(this.ticking);
      this.ticking = null;
      tellWaiting();
    };
  }

  /** Says that what is known may be old. */
  touch() {
    this.place.touch();
  }
}

/**
 * What is at `path`, looked up once for all who ask. `kinds` are the events (see `/v1/openapi.json`) after which it is looked up again,
 * `['*']` for any; `every` has it looked up each so many milliseconds besides, for what no event tells.
 */
export function resource(path, kinds = ['*'], every = 0) {
  // What nobody looks at any more is forgotten, so that a night of looked-up claims does not stay.
  if (!places.has(path) && places.size >= MOST) {
    places.forEach((one, old) => { if (!one.isWatched()) places.delete(old); });
  }
  const place = places.get(path) ?? new Place(path);
  places.set(path, place);
  const key = JSON.stringify([kinds, every]);
  if (!place.resources.has(key)) place.resources.set(key, new Resource(place, kinds, every));
  return place.resources.get(key);
}

function touchAll() {
  places.forEach((one) => one.touch());
}

function told(kind, data) {
  for (const place of places.values()) {
    // One that is to be looked up anyway asks nothing of who wants it.
    if (place.stale && place.timer !== null) continue;
    const wants = (one) => one.watchers.size > 0 && (one.kinds.has('*') || one.kinds.has(kind));
    if ([...place.resources.values()].some(wants)) place.touch();
    else if (!place.isWatched()) place.stale = true;
  }
  each(listeners, { kind, data });
}

function block(text) {
  let kind = null;
  let data = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('id: ')) last = line.slice(4);
    else if (line.startsWith('event: ')) kind = line.slice(7);
    else if (line.startsWith('data: ')) data += line.slice(6);
  }
  if (!kind) return;
  const said = JSON.parse(data);
  if (kind === 'reset') {
    last = said.after;
    touchAll();
  }
  told(kind, said);
}

async function follow() {
  const cut = new AbortController();
  let dog;
  const alive = () => {
    clearTimeout(dog);
    dog = setTimeout(() => cut.abort(), DEAD);
  };
  const more = { Accept: 'text/event-stream', ...(last ? { 'Last-Event-ID': last } : {}) };
  alive();
  try {
    const answer = await fetch('/v1/events', { headers: headers(more), cache: 'no-store', signal: cut.signal });
    if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
    become('live');
    // What was missed is told by the stream, or as a reset; what no event tells is looked up.
    touchAll();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      alive();
      text += value;
      const blocks = text.split('\n\n');
      text = blocks.pop();
      blocks.forEach(block);
    }
  } finally {
    clearTimeout(dog);
    cut.abort();
  }
}

/** Waits, or until the network says that it is back, or the page is looked at again. */
function pauseFor(ms) {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    knock = () => {
      clearTimeout(timer);
      done();
    };
  });
}

/** Follows the node's events for as long as the page is open. */
export async function run() {
  window.addEventListener('online', () => knock());
  document.addEventListener('visibilitychange', () => { if (!document.hidden) knock(); });
  for (let pause = AGAIN[0]; !isShut();) {
    const began = performance.now();
    let problem = null;
    try {
      await follow();
    } catch (error) {
      if (error instanceof Problem) problem = error;
      // A place that the node does not know is of no use the next time.
      if (problem?.status === 400 || problem?.status === 422) last = null;
    }
    become('lost', problem);
    if (problem) tellShut(problem);
    pause = performance.now() - began > AGAIN[1] ? AGAIN[0] : Math.min(pause * 2, AGAIN[1]);
    // Not all tablets at once, after a node was started again.
    await pauseFor(Math.max(pause * (0.5 + Math.random() / 2), 1000 * Math.min(problem?.facts.retry_after_s ?? 0, 60)));
  }
}
