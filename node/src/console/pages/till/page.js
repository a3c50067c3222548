/** The till: products, the cart beside them, and one button that goes on. */

import { drawer, html, nothing, onScan, render, words } from '../../frame/ui.js';
import { has, money, t, time } from '../../frame/text.js';
import { expect, finished as saleFinished, hearAsking, isSale, mayHelp, stop } from './sale.js';
import { grid, shut } from './grid.js';
import { paying } from './aside.js';
import * as cart from './cart.js';
import * as done from './done.js';
import { carts, find, help, putAside, scanned, takings, undo } from './later.js';
import { Till } from './model.js';
import * as pay from './pay.js';
import { steps } from './refusals.js';
import { bySku, firstDrop, isToken, matching } from './stock.js';

/** What each step of a refusal does. */
function does(till, { step, values }) {
  const quiet = (act) => () => { till.problem = null; till.panel = 'cart'; act(); till.draw(); };
  const acts = {
    take_out: quiet(() => till.add(values.sku, -till.quantityOf(values.sku))),
    less: quiet(() => till.add(values.sku, values.count - till.quantityOf(values.sku))),
    others: quiet(() => till.show({ category: till.product(till.problem?.facts.sku ?? '')?.category ?? null, find: '' })),
    send: quiet(() => till.tell(t('till.sent', values))),
    again: () => (till.retry && till.units > 0 ? till.retry() : quiet(() => {})()),
    new_price: quiet(() => pay.open(till, values.total)),
    pay: quiet(() => pay.open(till)),
    waiting: () => takings(till),
    sell_anew: quiet(() => till.anew()),
    carts: () => carts(till),
    drop: quiet(() => till.setBasket({ drop: values.name })),
    hand_over: quiet(() => till.setBasket({ pickup: '', pin: '' })),
    health: () => till.frame.go('health'),
    find: () => find(till),
    clear: () => till.clear(),
    back: quiet(() => {}),
  };
  return acts[step];
}

/** A refusal in words: those for a till, else the person's language of the code, else what the node said. */
function why(till) {
  const { code, facts } = till.problem;
  const holder = facts.holders?.find((one) => one.reachable && one.units > 0) ?? facts.holders?.find((one) => one.units > 0);
  let name = code;
  if (code === 'held_elsewhere' && !holder) name = 'held_elsewhere_unknown';
  else if (code === 'held_elsewhere' && !holder.reachable) name = 'held_elsewhere_lost';
  if (!has(`till.refused.${name}`)) return words(till.problem);
  return t(`till.refused.${name}`, {
    ...facts,
    product: facts.sku ? till.nameOf(facts.sku) : '',
    holder: holder?.name ?? '', units: holder?.units ?? 0, heard: holder?.last_heard_ms ? time(holder.last_heard_ms) : '–',
    count: facts.wanted ?? 1,
    total: facts.total ? money(facts.total) : '', lacks: facts.lacks ? money(facts.lacks) : '', left: money(facts.left ?? 0), limit: money(facts.limit ?? 0),
    why: facts.state ? t(`till.shut.${facts.state}`) : '',
  });
}

function refused(till) {
  return html`<div class="note bad" role="alert"><b>${till.refused === 'sold' ? t('till.not_sold') : t('till.not_aside')}</b><p>${why(till)}</p></div>`;
}

function busy(till) {
  const { silent, asking, stopping, what, wait } = till.busy;
  let text = t('till.selling');
  if (silent) text = t('till.asking_whether');
  else if (what) text = asking ? t('till.asking', { name: asking, what }) : t('till.asking_others', { what });
  return html`<div class="busy" role="status"><span class="turn" aria-hidden="true"></span><p>${text}</p>
    ${stopping ? html`<p class="small">${t('till.stopping', { count: wait / 1000 })}</p>` : nothing}</div>`;
}

/** What the panel has: its name, what is in it, other buttons, and the one that goes on. */
function panel(till) {
  const back = html`<button @click=${() => { till.panel = 'cart'; till.pay = null; till.problem = null; till.draw(); }}>${t('till.back_to_cart')}</button>`;
  switch (till.panel) {
    case 'pay': {
      const go = pay.primary(till);
      return { title: t('till.to_pay'), body: pay.view(till), sums: true, others: back, text: go.text, act: go.act };
    }
    case 'busy':
      return { title: t('till.selling_title'), body: busy(till), sums: true, others: till.busy.what && !till.busy.silent ? html`<button ?disabled=${till.busy.stopping} @click=${() => stop(till)}>${t('till.stop')}</button>` : nothing, text: t('till.wait'), act: null };
    case 'refused': {
      const [best, ...rest] = steps(till.problem, { lines: till.lines, helps: mayHelp(till.problem) });
      const text = (one) => t(`till.step.${one.step}`, { ...one.values, total: one.values.total ? money(one.values.total) : '', product: one.values.sku ? till.nameOf(one.values.sku) : '' });
      const toCart = () => { till.panel = 'cart'; till.problem = null; till.draw(); };
      return {
        title: till.refused === 'sold' ? t('till.not_sold_title') : t('till.not_aside_title'), body: refused(till), sums: true,
        others: html`${rest.map((one) => html`<button @click=${does(till, one)}>${text(one)}</button>`)}${best && best.step !== 'back' ? back : nothing}`,
        text: best ? text(best) : t('till.back_to_cart'), act: best ? does(till, best) : toCart,
      };
    }
    case 'done':
      return { title: t('till.sold'), body: done.view(till), sums: false, others: nothing, text: t('till.next'), act: () => till.next() };
    default: {
      const some = till.lines.length > 0;
      return {
        title: till.units > 0 ? t('till.cart_count', { count: till.units }) : t('till.cart'),
        body: html`${cart.lines(till)}${some ? cart.more(till) : nothing}`, sums: true,
        others: some ? html`
          ${till.basket.aside ? nothing : html`<button @click=${() => putAside(till)}>${t('till.put_aside')}</button>`}
          <button @click=${() => till.clear()}>${till.basket.aside ? t('till.leave_aside') : t('till.clear')}</button>` : nothing,
        text: some ? t('till.pay_now', { amount: money(till.total) }) : t('till.pay'), act: some && till.maySell ? () => till.toPay() : null,
      };
    }
  }
}

/** What is to be known of the drops: that none sells, or that one is about to end. */
function endings(till) {
  if (till.drops.length > 0 && till.selling.length === 0) {
    const drop = till.dropOf(firstDrop(till.drops));
    return `${drop.title || drop.drop}: ${shut(drop)}`;
  }
  return till.selling.filter((one) => one.state === 'last_call' || one.ends_ms).map((one) => {
    const drop = one.title || one.drop;
    if (one.state === 'last_call' && one.ends_ms) return t('till.last_call_ends', { drop, time: time(one.ends_ms) });
    return one.ends_ms ? t('till.ends', { drop, time: time(one.ends_ms) }) : t('till.last_call', { drop });
  }).join(' · ');
}

/** What a scanner sends, or the search field with Enter: a product is in the cart at once, all else is looked up. */
function hear(till, text) {
  // What is open was of the shopper before.
  document.querySelectorAll('dialog[open]').forEach((one) => one.close());
  if (till.product(text)) till.scan(text);
  else if (text.trim()) scanned(till, text.trim());
}

function tools(till) {
  const aside = till.carts.data?.items.length ?? 0;
  const enter = (event) => {
    if (event.key === 'Escape') { till.show({ find: '' }); event.target.blur(); }
    if (event.key !== 'Enter') return;
    event.preventDefault();
    const text = event.target.value;
    const [only, ...rest] = matching(till.products, text);
    if (bySku(till.products, text) || isToken(text) || !only) hear(till, text);
    else if (rest.length === 0) till.add(only.sku);
    else return;
    till.show({ find: '' });
  };
  return html`<div class="tools">
    <label class="search"><span class="hidden">${t('till.search')}</span>
      <input id="till-search" type="search" placeholder=${t('till.search')} autocomplete="off" autocapitalize="off" spellcheck="false" .value=${till.find}
        @input=${(event) => till.show({ find: event.target.value })} @keydown=${enter}></label>
    <div class="acts">
      <button @click=${() => find(till)}>${t('till.find')}</button>
      <button @click=${() => carts(till)}>${t('till.carts_count', { count: aside })}</button>
      <button @click=${() => takings(till)}>${t('till.takings')}</button>
      <button @click=${() => undo(till)} ?disabled=${!till.maySell}>${t('till.undo_last')}</button>
    </div>
    <button class="ask-help" @click=${help} aria-label=${t('till.help')}>?</button>
  </div>`;
}

function view(till) {
  const shown = panel(till);
  const folded = till.panel === 'cart' && !till.unfolded;
  return html`<div class="till ${till.panel} ${folded ? 'folded' : ''}">
    <section class="goods" aria-label=${t('till.products')}>
      <h1 class="hidden">${t('till.name')}</h1>
      ${tools(till)}
      ${till.maySell ? nothing : html`<p class="note warn">${t('till.look_only')}</p>`}
      <p class="said ${till.saidKind}" role="status"><span>${till.said || endings(till)}</span></p>
      <div class="shelf">${grid(till)}</div>
    </section>
    <aside class="panel" aria-label=${shown.title}>
      <div class="head"><h2>${shown.title}</h2>
        <button class="fold" aria-expanded=${!folded} ?hidden=${till.panel !== 'cart' || till.units === 0} @click=${() => { till.unfolded = !till.unfolded; till.draw(); }}>${folded ? t('till.unfold') : t('till.fold')}</button></div>
      <div class="inside" aria-live="polite">${shown.body}</div>
      <div class="foot">
        ${shown.sums ? cart.sums(till) : nothing}
        <div class="others">${shown.others}</div>
        <button id="till-go" class="primary go" ?disabled=${!shown.act} @click=${() => shown.act?.()}>${shown.text}</button>
      </div>
    </aside>
  </div>`;
}

function keys(till) {
  const press = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    const large = () => {
      const go = document.getElementById('till-go');
      if (go.disabled) return false;
      if (event.target.matches?.('input')) event.target.blur();
      go.click();
      return true;
    };
    const does = {
      F1: help,
      F2: () => document.getElementById('till-search')?.focus(),
      F4: () => pay.exact(till),
      F8: () => pay.choose(till, 'card'),
      F3: () => find(till),
      F9: () => large(),
      Escape: () => (event.target.closest?.('#till-search') ? false : till.back()),
      Enter: () => (event.target.closest?.('button, a, summary, select, #till-search') ? false : large()),
    }[event.key];
    if (does && does() !== false) event.preventDefault();
  };
  document.addEventListener('keydown', press);
  return () => document.removeEventListener('keydown', press);
}

/** One for as long as the console is open: what a person has begun is there again when they come back to this page. */
let till = null;

/** Draws the page into `frame.root`; what it returns ends it. */
export function start(frame) {
  till ??= new Till();
  till.frame = frame;
  const draw = () => render(view(till), frame.root);
  till.draw = draw;
  till.tellNews = drawer(() => { if (till.draw === draw) draw(); });
  till.toPay = () => { till.said = ''; paying(till); pay.open(till); };
  // Whoever pressed a button that is gone now stands on the one that goes on.
  till.arrive = () => {
    if (!document.activeElement || document.activeElement === document.body) document.getElementById('till-go')?.focus({ preventScroll: true });
  };
  expect(till);
  till.start();
  draw();
  till.learnRights();
  const ends = [keys(till), hearAsking(till), onScan((text) => hear(till, text), { dialogs: true })];
  return () => {
    ends.forEach((end) => end());
    till.stop();
  };
}

/** Says what became of a sale that was under way when the page was loaded again: as the till says it. */
export function finished(act, outcome) {
  if (!till || !isSale(act)) return false;
  saleFinished(till, outcome);
  return true;
}
