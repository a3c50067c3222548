/** Finding a sale by what a person has of it: the code, the receipt's number, a reference; and what a scanner sends. */

import { Problem, act, get } from '../../frame/api.js';
import { dialog, html, nothing, toast, words } from '../../frame/ui.js';
import { money, t, time } from '../../frame/text.js';
import { linesOf } from './basket.js';
import { openClaim, stateWords } from './claim.js';
import { isToken } from './stock.js';

/** Claims that a person can mean by `text`. */
const named = (text) => get(`/v1/claims?limit=20&named=${encodeURIComponent(text)}`).then((said) => said.items);

/** The code without what may stand before it: an AIM identifier, a link. */
const receiptOf = (text) => /^\s*#?\s*(\d{1,9})\s*$/.exec(text)?.[1] ?? null;

async function byToken(till, text) {
  try {
    const found = await named(text);
    if (found.length > 0) {
      await openClaim(till, found[0]);
      return;
    }
  } catch (error) {
    if (!(error instanceof Problem)) {
      toast(words(error), 'bad');
      return;
    }
  }
  // It may be a cart's: whoever shows it wants it here, so it is asked for.
  try {
    const cart = await act('/v1/carts/take', { token: text }, { name: t('till.carts') });
    till.carts.touch();
    till.payAside(cart);
    till.tell(t('till.cart_here'), '');
  } catch (error) {
    toast(words(error), 'bad');
  }
}

/** What comes from a scanner and is no product: a token, or something of a sale. */
export async function scanned(till, text) {
  if (isToken(text)) {
    await byToken(till, text);
    return;
  }
  try {
    const found = await named(text);
    if (found.length === 1) await openClaim(till, found[0]);
    else if (found.length > 1) await find(till, text);
    else toast(t('till.unknown_scan', { text: text.slice(0, 40) }), 'bad');
  } catch (error) {
    toast(error.status === 404 || error.status === 422 ? t('till.unknown_scan', { text: text.slice(0, 40) }) : words(error), 'bad');
  }
}

function row(till, claim, close) {
  return html`<li><button class="sale" @click=${() => close(claim)}>
    <span><b>${claim.code}</b>${claim.receipt ? html` · ${t('till.receipt_number', { number: claim.receipt })}` : nothing}</span>
    <span class="n">${money(claim.total)}</span>
    <span class="dim">${linesOf(claim.items).map((line) => `${line.quantity} × ${till.nameOf(line.sku)}`).join(', ')}</span>
    <span class="dim n">${time(claim.at_ms)}</span>
    <span class="small">${stateWords(till, claim)}</span>
  </button></li>`;
}

/** Asks for something of a sale, shows what fits it, and opens the one that is meant. The last sales of this till stand there first. */
export async function find(till, first = '') {
  let found = null;
  let problem = '';
  let text = first;
  const look = async (redraw) => {
    problem = '';
    try {
      found = text.trim() === '' ? (await get(`/v1/claims?limit=10&seller=${till.me.device}`)).items : await named(text.trim());
      // A plain number is first of all a receipt of this till's.
      const number = receiptOf(text);
      if (number) found.sort((a, b) => (b.seller === till.me.device && String(b.receipt) === number) - (a.seller === till.me.device && String(a.receipt) === number));
      if (found.length === 0) problem = t('till.find_none');
    } catch (error) {
      found = [];
      problem = error.status === 404 ? t('till.find_none') : words(error);
    }
    redraw();
  };
  let begun = false;
  const claim = await dialog(t('till.find_title'), (close, redraw) => {
    if (!begun) {
      begun = true;
      queueMicrotask(() => look(redraw));
    }
    return html`
      <form class="row find" @submit=${(event) => { event.preventDefault(); text = new FormData(event.target).get('text'); if (isToken(text)) { close({ scanned: text }); return; } look(redraw); }}>
        <label><span>${t('till.find_what')}</span><input name="text" autofocus autocomplete="off" autocapitalize="off" spellcheck="false" .value=${first}></label>
        <button class="primary">${t('till.find_go')}</button>
      </form>
      ${problem ? html`<p class="note warn" role="status">${problem}</p>` : nothing}
      ${found === null ? html`<p class="dim">${t('till.loading')}</p>` : html`<h3>${text.trim() === '' ? t('till.last_sales') : t('till.found', { count: found.length })}</h3>
        <ul class="sales">${found.map((one) => row(till, one, close))}</ul>`}
      <div class="row end"><button @click=${() => close()}>${t('frame.close')}</button></div>`;
  });
  if (claim?.scanned) await scanned(till, claim.scanned);
  else if (claim) await openClaim(till, claim);
}
