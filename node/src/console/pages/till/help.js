/** How to sell, on one screen; and the keys. */

import { dialog, html } from '../../frame/ui.js';
import { t } from '../../frame/text.js';

/** Keys that do something anywhere on the page. None is a character: a scanner types those. */
export const KEYS = [
  ['F2', 'find'],
  ['F3', 'sale'],
  ['F4', 'exact'],
  ['F8', 'card'],
  ['F9', 'go'],
  ['Enter', 'enter'],
  ['Escape', 'back'],
  ['F1', 'help'],
];

/** Shows it. */
export function help() {
  return dialog(t('till.help'), (close) => html`
    <ol tabindex="-1" autofocus>${['one', 'two', 'three', 'four', 'five'].map((one) => html`<li>${t(`till.help_steps.${one}`)}</li>`)}</ol>
    <h3 class="keys">${t('till.keys')}</h3>
    <table class="keys"><tbody>${KEYS.map(([key, name]) => html`<tr><th scope="row"><kbd>${t(`till.key_names.${key}`)}</kbd></th><td>${t(`till.key.${name}`)}</td></tr>`)}</tbody></table>
    <div class="row end"><button class="primary" @click=${() => close()}>${t('frame.close')}</button></div>`);
}
