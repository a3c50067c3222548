/** Receipts, to show and to print; and the code of a claim, as large as the screen. */

import { get } from '../../frame/api.js';
import { dialog, html, qr, toast, words } from '../../frame/ui.js';
import { t } from '../../frame/text.js';
import { linesOf } from './basket.js';

/** Shows a receipt as a printer would have it. */
export async function showReceipt(till, device, number) {
  let text;
  try {
    text = await get(`/v1/receipts/${device}/${number}?format=text`);
  } catch (error) {
    toast(words(error), 'bad');
    return;
  }
  await dialog(t('till.receipt_number', { number }), (close) => html`
    <pre class="receipt" tabindex="0">${text}</pre>
    <div class="row end">
      <button @click=${() => window.print()}>${t('till.print')}</button>
      <button class="primary" @click=${() => close()}>${t('frame.close')}</button>
    </div>`);
}

/** Shows what the shopper shows to pick it up: the code, large, on white, with its short form below. */
export async function showCode(till, claim) {
  let token;
  try {
    ({ token } = await get(`/v1/claims/${claim.claim}/token`));
  } catch (error) {
    toast(words(error), 'bad');
    return;
  }
  await dialog(t('till.code_title'), (close) => html`<div class="code">
    ${qr(token, t('till.code_label', { code: claim.code }))}
    <p class="short">${claim.code}</p>
    <p>${linesOf(claim.items).map((line) => `${line.quantity} × ${till.nameOf(line.sku)}`).join(' · ')}</p>
    <p>${t('till.code_where', { name: till.deviceName(claim.custodian) })}</p>
    <button class="primary" @click=${() => close()}>${t('frame.close')}</button>
  </div>`);
}
