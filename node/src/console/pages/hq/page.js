/** The HQ page: its parts, one at a time, by what stands after `#/hq/` in the address. */

import { t } from '../../frame/text.js';
import { html, nothing, render } from '../../frame/ui.js';
import { first, PARTS } from './parts.js';

/** The part that the address names. */
function wanted() {
  const name = location.hash.replace(/^#\//, '').split('/')[1];
  return PARTS.includes(name) ? name : first;
}

/** Draws the page into `frame.root`; what it returns ends it. */
export function start(frame) {
  let over = false;
  let shown = null;
  let stop = null;

  const tabs = () => html`<nav class="hq-parts" aria-label=${t('hq.parts')}>
    ${PARTS.map((name) => html`<a href="#/hq/${name}" aria-current=${shown === name ? 'page' : nothing}>${t(`hq.${name}.name`)}</a>`)}
  </nav>`;

  const draw = () => render(html`
    <h1 class="hidden">${t('hq.name')}: ${t(`hq.${shown}.name`)}</h1>
    ${tabs()}
    <div class="hq-part stack"></div>`, frame.root);

  const show = async () => {
    const name = wanted();
    if (over || !/^#\/hq(\/|$)/.test(location.hash) || shown === name) return;
    shown = name;
    stop?.();
    stop = null;
    draw();
    const strip = frame.root.querySelector('.hq-parts');
    const current = strip.querySelector('[aria-current]');
    strip.scrollLeft = current.offsetLeft - strip.offsetLeft - (strip.clientWidth - current.offsetWidth) / 2;
    const place = document.createElement('div');
    place.className = 'stack';
    frame.root.querySelector('.hq-part').replaceChildren(place);
    const part = await import(`./${name}.js`);
    if (!over && shown === name) stop = part.start(place, frame);
  };

  show();
  window.addEventListener('hashchange', show);
  return () => {
    over = true;
    stop?.();
    window.removeEventListener('hashchange', show);
  };
}
