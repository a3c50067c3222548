/** The PIN that a shopper says: large keys, and any keyboard. */

import { t } from '../../frame/text.js';
import { html } from '../../frame/ui.js';

const KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9'];
const PIN = /^\d{4,8}$/;
const MOST = 8;

/**
 * The pad. `pin` is what was typed so far, `change` is given more of it, `send` the whole. What a scanner types into it is no PIN:
 * `scan` gets that.
 */
export function pinPad({ pin, change, send, scan }) {
  const press = (key) => () => change((pin + key).slice(0, MOST));
  const typed = (event) => {
    const text = event.target.value;
    // A code is longer and has letters; it is taken as one when the scanner sends its Enter.
    if (/^\d*$/.test(text) && text.length <= MOST) change(text);
  };
  const submit = (event) => {
    event.preventDefault();
    const text = event.target.elements.pin.value;
    if (PIN.test(text)) send(text);
    else if (text.length > MOST || /\D/.test(text)) {
      event.target.elements.pin.value = pin;
      scan(text);
    }
  };
  return html`<form class="desk-pin" @submit=${submit} aria-label=${t('desk.pin.label')}>
    <label><span>${t('desk.pin.label')}</span>
      <input name="pin" class="desk-pin-field" inputmode="none" autocomplete="off" .value=${pin} @input=${typed}></label>
    <div class="desk-keys">
      ${KEYS.map((key) => html`<button type="button" @click=${press(key)}>${key}</button>`)}
      <button type="button" aria-label=${t('desk.pin.back')} @click=${() => change(pin.slice(0, -1))}>⌫</button>
      <button type="button" @click=${press('0')}>0</button>
      <button class="primary">${t('desk.pin.ok')}</button>
    </div>
    <p class="small">${t('desk.pin.hint')}</p>
  </form>`;
}
