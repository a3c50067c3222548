/** What this page knows, kept up to date by the node's events (`/v1/events`). */

import { Problem, get, headers } from './api.js';

/** How long changes are gathered before a thing is looked up again, milliseconds. */
const GATHER = 250;
const AGAIN = 1000;

const resources = new Map();
const listeners = new Set();
let last = null;

/** How it stands with the stream: `live`, or `lost` since a time. */
export const connection = { state: 'starting', since: Date.now(), problem: null };
const watchers = new Set();

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
  watchers.forEach((call) => call(connection));
}

/** Calls back with each event `{kind, data}`. Ends with what it returns. */
export function onEvent(call) {
  listeners.add(call);
  return () => listeners.delete(call);
}

/** One thing of the API that is looked up again when events of its kinds come. */
class Resource {
  constructor(path, kinds, every) {
    Object.assign(this, { path, kinds, every, data: undefined, error: null, at: null });
    this.watchers = new Set();
    this.timer = null;
    this.asking = false;
    this.stale = true;
  }

  /** Calls back whenever there is something new. Ends with what it returns. */
  watch(call) {
    this.watchers.add(call);
    if (this.stale) this.soon(0);
    if (this.every && !this.ticking) this.ticking = setInterval(() => this.touch(), this.every);
    return () => {
      this.watchers.delete(call);
      if (this.watchers.size === 0 && this.ticking) {
        clearInterval(this.ticking);
        this.ticking = null;
      }
    };
  }

  /** Says that what is known may be old. */
  touch() {
    this.stale = true;
    if (this.watchers.size > 0) this.soon(GATHER);
  }

  soon(ms) {
    if (this.timer === null) this.timer = setTimeout(() => this.look(), ms);
  }

  async look() {
    this.timer = null;
    if (this.asking) return;
    this.asking = true;
    this.stale = false;
    try {
      this.data = await get(this.path);
      this.error = null;
      this.at = Date.now();
    } catch (error) {
      this.error = error;
      this.stale = true;
      if (connection.state === 'live' && !(error instanceof Problem)) this.soon(AGAIN);
    }
    this.asking = false;
    this.watchers.forEach((call) => call(this));
    if (this.stale && this.error === null && this.watchers.size > 0) this.soon(GATHER);
  }
}

/**
 * What is at `path`, one for all who ask. `kinds` are the events (see `/v1/openapi.json`) after which it is looked up again,
 * `['*']` for any; `every` has it looked up each so many milliseconds besides, for what no event tells.
 */
export function resource(path, kinds = ['*'], every = 0) {
  const key = `${path} ${every}`;
  if (!resources.has(key)) resources.set(key, new Resource(path, kinds, every));
  return resources.get(key);
}

function touchAll() {
  resources.forEach((one) => one.touch());
}

function told(kind, data) {
  for (const one of resources.values()) {
    if (one.kinds.includes('*') || one.kinds.includes(kind)) one.touch();
  }
  listeners.forEach((call) => call({ kind, data }));
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
  const more = { Accept: 'text/event-stream', ...(last ? { 'Last-Event-ID': last } : {}) };
  const answer = await fetch('/v1/events', { headers: headers(more), cache: 'no-store' });
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  become('live');
  touchAll();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split('\n\n');
    text = blocks.pop();
    blocks.forEach(block);
  }
}

/** Follows the node's events for as long as the page is open. */
export async function run() {
  for (;;) {
    try {
      await follow();
      become('lost');
    } catch (error) {
      become('lost', error instanceof Problem ? error : null);
    }
    await new Promise((done) => { setTimeout(done, AGAIN); });
  }
}
