/** The page encoder. */

import { html, render } from '../../frame/ui.js';
import { t } from '../../frame/text.js';

/** Draws the page into `frame.root`; what it returns ends it. */
export function start(frame) {
  render(html`<h1>${t('encoder.name')}</h1>`, frame.root);
  return () => {};
}
