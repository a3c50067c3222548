/** A page's own look, taken in once, before anything of it is drawn. */

const taken = new Map();

/** Resolves when the style sheet at `url` counts; also if it cannot be had, since a page without it is still one. */
export function stylesheet(url) {
  const href = String(url);
  if (!taken.has(href)) {
    taken.set(href, new Promise((done) => {
      const link = document.createElement('link');
      link.rel = 'stylesheet';
      link.href = href;
      link.addEventListener('load', done, { once: true });
      link.addEventListener('error', done, { once: true });
      document.head.append(link);
    }));
  }
  return taken.get(href);
}
