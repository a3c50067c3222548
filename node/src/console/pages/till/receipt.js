/** Receipts of this till; and the code of a claim, as large as the screen. */

import { get } from '../../frame/api.js';
import { openReceipt } from '../../frame/receipt.js';
import { dialog, html, qr, toast, words } from '../../frame/ui.js';
import { t } from '../../frame/text.js';
import { linesOf } from './basket.js';

/** Shows a receipt. */
export async function showReceipt(till, device, number) {
  let receipt;
  try {
    receipt = await get(`/v1/receipts/${device}/${number}`);
  } catch (error) {
    toast(words(error), 'bad');
    return;
  }
  await openReceipt(receipt);
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
