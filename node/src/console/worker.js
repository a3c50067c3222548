/**
 * Has the console open while the node is off: it keeps the files of one release, all of them or none, and gives them where the node
 * does not answer. Of `/v1` it keeps nothing.
 */

const RELEASE = 'popmesh-release';
const NAME = 'popmesh ';
const LIST = '/release.json';
/** How long the node may take for a page before what is kept is shown, milliseconds. */
const PATIENCE = 4000;

/** The release that each open page was made of, for as long as this worker lives. */
const pages = new Map();

const fresh = (path) => fetch(path, { cache: 'no-cache' });

async function kept() {
  const names = (await caches.keys()).filter((name) => name.startsWith(NAME));
  for (const name of names.reverse()) {
    const cache = await caches.open(name);
    // The list is put in last: a cache without it is half.
    if (await cache.match(LIST)) return { cache, release: name.slice(NAME.length) };
  }
  return null;
}

/** Takes all files of the release that the node has now; none if it changes under way. */
async function take() {
  const answer = await fresh(LIST);
  if (!answer.ok) return;
  const listed = answer.clone();
  const { release, files } = await listed.json();
  const before = await kept();
  if (before?.release === release) return;
  const name = NAME + release;
  const cache = await caches.open(name);
  try {
    await Promise.all(files.map(async (path) => {
      const file = await fresh(path);
      if (!file.ok || file.headers.get(RELEASE) !== release) throw new Error(`${path} is of another release`);
      await cache.put(path, file);
    }));
    await cache.put(LIST, answer);
  } catch (error) {
    await caches.delete(name);
    throw error;
  }
  for (const other of await caches.keys()) {
    if (other.startsWith(NAME) && other !== name) await caches.delete(other);
  }
}

const path = (request) => {
  const at = new URL(request.url).pathname;
  return at === '/index.html' ? '/' : at.replace(/^\/overlay\/$/, '/overlay');
};

/** A page: the node's if it answers, else what is kept. */
async function open(event) {
  const late = AbortSignal.timeout(PATIENCE);
  try {
    const answer = await fetch(event.request, { signal: late });
    const release = answer.headers.get(RELEASE);
    if (release) {
      pages.set(event.resultingClientId, release);
      event.waitUntil(take().catch(() => {}));
    }
    return answer;
  } catch (error) {
    const shell = await kept();
    const answer = await shell?.cache.match(path(event.request));
    if (!answer) throw error;
    pages.set(event.resultingClientId, shell.release);
    return answer;
  }
}

/** A part of a page: of the release that the page is of, from wherever it is to be had. */
async function part(event) {
  const release = pages.get(event.clientId);
  const shell = await kept();
  const cached = shell && (release === undefined || release === shell.release) ? shell : null;
  let answer = null;
  let problem = null;
  try {
    answer = await fetch(event.request);
    const now = answer.headers.get(RELEASE);
    if (release === undefined || now === release) return answer;
  } catch (error) {
    problem = error;
  }
  const found = await cached?.cache.match(path(event.request));
  if (found) return found;
  if (problem) throw problem;
  return answer;
}

self.addEventListener('install', (event) => {
  event.waitUntil(take().then(() => self.skipWaiting()));
});
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const at = new URL(request.url);
  if (request.method !== 'GET' || at.origin !== self.location.origin) return;
  if (at.pathname.startsWith('/v1/') || at.pathname === '/metrics') return;
  event.respondWith(request.mode === 'navigate' ? open(event) : part(event));
});
