/** What an overlay's address says: which drop, what is shown, and how it looks. */

import { PARTS, USUAL } from './words.js';

/** The look by name: `ink=` in the address is the CSS variable `--overlay-ink`. docs/stream.md says what each is. */
export const LOOKS = ['font', 'size', 'weight', 'ink', 'dim', 'accent', 'warn', 'paper', 'line', 'radius', 'pad', 'gap', 'margin',
  'shadow', 'across', 'down', 'width', 'logo-height'];

/** A picture that this page may load: of this node, or in the address itself. */
const isOwn = (url) => /^\/(?!\/)/.test(url) || /^data:image\//.test(url);

/** Reads an address's parameters. */
export function read(params) {
  const wanted = (params.get('show') ?? '').split(',').filter((part) => PARTS.includes(part));
  const logo = params.get('logo') ?? '';
  return {
    drop: params.get('drop') || null,
    lang: params.get('lang'),
    show: wanted.length ? wanted : USUAL,
    look: LOOKS.filter((name) => params.has(name)).map((name) => [`--overlay-${name}`, params.get(name)]),
    logo: isOwn(logo) ? logo : null,
  };
}

/** The parameters of an address that says this; what is usual is left out. */
export function write({ drop, lang, show, look = [], logo }) {
  const params = new URLSearchParams();
  if (drop) params.set('drop', drop);
  if (lang) params.set('lang', lang);
  if (show && show.join() !== USUAL.join()) params.set('show', show.join());
  for (const [name, value] of look) {
    if (LOOKS.includes(name) && value) params.set(name, value);
  }
  if (logo && isOwn(logo)) params.set('logo', logo);
  // A comma need not be escaped, and people read these.
  return params.toString().replaceAll('%2C', ',');
}
