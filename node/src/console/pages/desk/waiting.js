/** What waits here to be picked up: found by code, reference, product or serial, the late ones apart. */

import { Problem, get } from '../../frame/api.js';
import { resource } from '../../frame/live.js';
import { t, time } from '../../frame/text.js';
import { dialog, html, nothing, repeat, words } from '../../frame/ui.js';
import { inLine, items } from './goods.js';
import { isToken } from './redeem.js';

const KINDS = ['sold', 'redeemed', 'refunded', 'refund_requested', 'custody_moved', 'voided', 'retired', 'incident_settled', 'reset'];
const MOST = 1000;
/** How many lines are drawn; the rest is found by searching. */
const SHOWN = 60;

/** The pickups of one device. `changed` is called after each change. */
export class Waiting {
  constructor({ me, names, changed, hand, scan }) {
    Object.assign(this, { me, names, changed, hand, scan });
    const of = `/v1/claims?custodian=${encodeURIComponent(me)}&state=issued&limit=${MOST}`;
    this.all = resource(of, KINDS, 30_000);
    this.late = resource(`${of}&late=true`, KINDS, 30_000);
    this.search = '';
    this.onlyLate = false;
    /** Claims in the order in which they are shown: nothing moves while somebody reads; who comes new stands at the end. */
    this.order = [];
    this.known = new Map();
    /** What the API found where nothing here fits: claims of other devices, or of another state. */
    this.elsewhere = null;
  }

  /** Begins to follow; `drawn` is called when there is news. Ends with what it returns. */
  start(drawn) {
    const told = () => {
      this.news();
      drawn();
    };
    const ends = [this.all.watch(told), this.late.watch(drawn)];
    if (this.all.data) told();
    return () => ends.forEach((end) => end());
  }

  news() {
    const now = new Map((this.all.data?.items ?? []).map((claim) => [claim.claim, claim]));
    const fresh = [...now.values()].filter((claim) => !this.known.has(claim.claim)).sort((a, b) => a.at_ms - b.at_ms);
    for (const [claim, was] of this.known) {
      const is = now.get(claim);
      this.known.set(claim, is ?? { ...was, gone: true });
    }
    for (const claim of fresh) {
      this.known.set(claim.claim, claim);
      this.order.push(claim.claim);
    }
  }

  /** Leaves out what is gone: when somebody begins anew, by a search or a filter. */
  tidy() {
    this.order = this.order.filter((claim) => !this.known.get(claim)?.gone);
    for (const [claim, is] of this.known) if (is.gone) this.known.delete(claim);
    this.elsewhere = null;
  }

  fitting() {
    const late = new Set((this.late.data?.items ?? []).map((claim) => claim.claim));
    const wanted = this.search.trim().toLowerCase();
    const bare = wanted.replace(/[\s-]/g, '');
    const fits = (claim) => {
      if (this.onlyLate && !late.has(claim.claim)) return false;
      if (!wanted) return true;
      const texts = [claim.shopper ?? '', ...claim.items.flatMap((item) => [item.sku, this.names.product(item.sku)])];
      return claim.code.toLowerCase().replace('-', '').includes(bare) || texts.some((text) => text.toLowerCase().includes(wanted));
    };
    return { late, list: this.order.map((claim) => this.known.get(claim)).filter((claim) => claim && fits(claim)) };
  }

  /** Asks the node for what nothing in the list fits: by everything that a person can have in hand. */
  async find() {
    if (!this.search.trim()) return;
    try {
      this.elsewhere = (await get(`/v1/claims?named=${encodeURIComponent(this.search.trim())}&limit=20`)).items;
    } catch (error) {
      this.elsewhere = error;
    }
    this.changed();
  }

  async open(claim) {
    const yes = await dialog(t('desk.waiting.ask_title', { code: claim.code }), (close) => html`
      ${items(claim.items, this.names)}
      <p>${t('desk.waiting.ask_text')}</p>
      ${claim.shopper ? html`<p class="small">${t('desk.waiting.for', { who: claim.shopper })}</p>` : nothing}
      <div class="row end">
        <button @click=${() => close()}>${t('frame.cancel')}</button>
        <button class="primary" @click=${() => close(true)}>${t('desk.hand_out')}</button>
      </div>`);
    if (yes) this.hand(claim);
  }

  row(claim, late) {
    const there = claim.custodian !== this.me;
    const over = claim.gone ? t('desk.waiting.gone') : claim.state === 'issued' ? '' : t(`desk.states.${claim.state}`);
    return html`<li class=${over ? 'card desk-claim over' : 'card desk-claim'}>
      <strong class="desk-code">${claim.code}</strong>
      <div><p>${inLine(claim.items, this.names)}</p>
        <p class="small">${t('desk.waiting.sold', { time: time(claim.at_ms), by: this.names.device(claim.seller) })}${claim.shopper ? ` · ${claim.shopper}` : ''}${
          claim.expires_ms ? ` · ${t('desk.waiting.until', { time: time(claim.expires_ms) })}` : ''}${claim.pin ? ` · ${t('desk.waiting.pin')}` : ''}</p>
        ${late ? html`<p class="desk-tone bad"><span aria-hidden="true">!</span> ${t('desk.waiting.late')}</p>` : nothing}
        ${there ? html`<p class="desk-tone wait"><span aria-hidden="true">!</span> ${t('desk.waiting.at', { name: this.names.device(claim.custodian) })}</p>` : nothing}
        ${over ? html`<p class="desk-tone">${over}</p>` : nothing}
      </div>
      ${over ? nothing : html`<button @click=${() => this.open(claim)} aria-label=${t('desk.waiting.hand_out', { code: claim.code })}>${t('desk.hand_out')}</button>`}
    </li>`;
  }

  /** The list, with its search. */
  view() {
    if (this.all.error instanceof Problem && !this.all.data) return html`<p class="note warn">${words(this.all.error)}</p>`;
    if (!this.all.data) return html`<p class="dim">${t('desk.looking')}</p>`;
    const { late, list } = this.fitting();
    const shown = list.slice(0, SHOWN);
    const type = (event) => {
      this.search = event.target.value;
      this.tidy();
      this.changed();
    };
    const submit = (event) => {
      event.preventDefault();
      // A scanner types wherever the focus is: a pickup code is shown, not searched for.
      if (isToken(this.search)) {
        const code = this.search;
        this.search = '';
        this.scan(code);
      } else this.find();
    };
    const filter = () => {
      this.onlyLate = !this.onlyLate;
      this.tidy();
      this.changed();
    };
    const found = this.elsewhere;
    const narrowed = this.onlyLate || this.search.trim() !== '';
    const count = narrowed ? list.filter((claim) => !claim.gone).length : this.all.data.count;
    return html`
      <form class="row desk-search" role="search" @submit=${submit}>
        <label class="grow"><span>${t('desk.waiting.search')}</span><input type="search" autocomplete="off" .value=${this.search} @input=${type}></label>
        <button>${t('desk.waiting.find')}</button>
      </form>
      <div class="row desk-filter"><p class="small" role="status">${t('desk.waiting.count', { n: count, count })}</p>
        <button aria-pressed=${this.onlyLate} @click=${filter}>${t('desk.waiting.only_late', { n: late.size })}</button></div>
      <ul class="desk-list">${repeat(shown, (claim) => claim.claim, (claim) => this.row(claim, late.has(claim.claim)))}</ul>
      ${list.length > shown.length ? html`<p class="small">${t('desk.waiting.more', { n: list.length - shown.length, count: list.length - shown.length })}</p>` : nothing}
      ${found === null ? nothing : found instanceof Error ? html`<p class="note warn">${words(found)}</p>` : html`
        <h3>${t('desk.waiting.found')}</h3>
        ${found.length === 0 ? html`<p>${t('desk.waiting.found_none')}</p>` : html`<ul class="desk-list">${found.map((claim) => this.row(claim, false))}</ul>`}`}`;
  }
}
