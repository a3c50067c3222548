/** The files that the console is made of: kept for when the node is off, and never of two releases at once. */

const RELEASE = 'popmesh-release';
const WORKER = '/worker.js';
/** A page that never rests keeps its files after so long, milliseconds. */
const KEEP_WITHIN = 3000;
let ours = null;

async function release() {
  const answer = await fetch('/', { method: 'HEAD', cache: 'no-store' });
  return answer.ok ? answer.headers.get(RELEASE) : null;
}

/** Has the browser fetch modules that are wanted soon. */
export function preload(modules) {
  for (const path of modules) {
    const link = document.createElement('link');
    link.rel = 'modulepreload';
    link.href = `/${path}`;
    document.head.append(link);
  }
}

/** Whether the node has other files now than those that this page was made of. Not while nobody answers. */
export async function newer() {
  try {
    const now = await release();
    return ours !== null && now !== null && now !== ours;
  } catch {
    return false;
  }
}

/** Notes the release of this page: that of the files which it is made of. */
export async function noteRelease() {
  ours = await release().catch(() => null);
}

/** Has the browser keep the console's files where it may, once it has nothing else to do: it asks for all of them. */
export async function keepFiles() {
  await new Promise((done) => {
    if (window.requestIdleCallback) requestIdleCallback(done, { timeout: KEEP_WITHIN });
    else setTimeout(done, KEEP_WITHIN);
  });
  // A certificate that the browser does not trust, or one that was only waved through, makes no safe context: it works without.
  try {
    const policy = window.trustedTypes?.createPolicy('popmesh', { createScriptURL: () => WORKER });
    await navigator.serviceWorker?.register(policy?.createScriptURL('') ?? WORKER);
  } catch {
    // As above.
  }
}
