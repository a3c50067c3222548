/**
 * Brings the page back when a file of it could not be had: the node was stopped while the page was loading. What is shown then may be
 * half of it or nothing, so it is loaded again as a whole, as soon as the node answers.
 */

/** How often the node is asked whether it is back, milliseconds. */
const LOOK = 1000;
/** A page whose file is there and broken is loaded again so seldom, milliseconds. */
const SELDOM = 10_000;
const KEPT = 'popmesh.loaded_again';
/** What browsers say of a module that they could not have: Chromium and Firefox, Safari. */
const LOST = /dynamically imported module|module script failed/i;

let coming = false;

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

async function comeBack() {
  if (coming) return;
  coming = true;
  await pause(Math.max(LOOK, SELDOM - (Date.now() - Number(sessionStorage.getItem(KEPT) ?? 0))));
  while (!(await fetch('/frame/app.js', { cache: 'no-store' }).catch(() => null))?.ok) await pause(LOOK);
  sessionStorage.setItem(KEPT, String(Date.now()));
  location.reload();
}

window.addEventListener('error', (event) => {
  if (event.target instanceof HTMLScriptElement || LOST.test(event.message ?? '')) comeBack();
}, true);
window.addEventListener('unhandledrejection', (event) => {
  if (LOST.test(event.reason?.message ?? '')) comeBack();
});
