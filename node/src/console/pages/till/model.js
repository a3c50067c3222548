/** What the till page knows and has before it. Views draw it; acts change it. */

import { Problem } from '../../frame/api.js';
import { resource } from '../../frame/live.js';
import { ownScope } from '../../frame/rights.js';
import { t, useCurrency } from '../../frame/text.js';
import { toast, words } from '../../frame/ui.js';
import * as baskets from './basket.js';
import { changeAside } from './aside.js';
import { mayWait, sum } from './reckon.js';
import { standingWords } from './grid.js';
import { bySku, canAdd, firstDrop, sells, standing } from './stock.js';

const KEPT = 'popmesh.till.basket';

/** Facts after which stock is looked up again. */
const STOCK = ['sold', 'refunded', 'redeemed', 'transferred', 'entrusted', 'minted', 'moved', 'damaged', 'taken_over', 'retired',
  'voided', 'step', 'programme_changed', 'reachable', 'unreachable', 'left', 'reset'];
/** Scopes of tokens that sell. */
const SELL = new Set(['till', 'manager']);

/** The state of the page, one for as long as it is shown. */
export class Till {
  constructor() {
    /** Draws at once what a person did; `tellNews` what came in, as soon as no finger is down. */
    this.draw = () => {};
    this.tellNews = () => {};
    this.status = resource('/v1/status', ['payment_settled', 'programme_changed', 'reset'], 10_000);
    this.programme = resource('/v1/programme', ['programme_changed', 'minted', 'step', 'reset'], 15_000);
    this.stock = resource('/v1/stock?limit=1000', STOCK, 4000);
    this.carts = resource('/v1/carts?limit=200', ['reset'], 4000);
    this.devices = resource('/v1/devices?limit=1000', ['renewed', 'retired', 'left', 'reachable', 'unreachable', 'programme_changed', 'reset'], 15_000);
    this.basket = this.kept();
    this.drop = null;
    this.category = null;
    this.find = '';
    /** What the panel beside the products shows: `cart`, `pay`, `busy`, `refused`, `done`. */
    this.panel = 'cart';
    /** On a phone, whether the cart's lines are shown over the products. */
    this.unfolded = false;
    this.pay = null;
    this.busy = null;
    this.problem = null;
    this.sold = null;
    /** Does again what was refused last; and what that was. */
    this.retry = null;
    this.refused = 'sold';
    this.said = '';
    this.saidKind = 'warn';
    /** Whether this tablet may sell: `false` with a token that only looks. */
    this.maySell = true;
    this.ends = [];
  }

  /** Begins to look at what there is. */
  start() {
    this.ends = [this.status, this.programme, this.stock, this.carts, this.devices].map((one) => one.watch(() => this.news()));
  }

  stop() {
    this.ends.forEach((end) => end());
    this.draw = () => {};
  }

  news() {
    useCurrency(this.status.data?.currency);
    this.tellNews();
  }

  kept() {
    try {
      return { ...baskets.empty(), ...JSON.parse(sessionStorage.getItem(KEPT) ?? '{}'), pin: '' };
    } catch {
      return baskets.empty();
    }
  }

  /** Takes a basket, and keeps it for when the page is loaded again: all of it but a PIN. */
  take(basket) {
    this.basket = basket;
    sessionStorage.setItem(KEPT, JSON.stringify({ ...basket, pin: '' }));
  }

  /** This device. */
  get me() {
    return this.status.data?.device ?? null;
  }

  get currency() {
    return this.status.data?.currency ?? 'EUR';
  }

  get rules() {
    return this.programme.data?.rules ?? {};
  }

  get coin() {
    return this.rules.cash_coin || 1;
  }

  get products() {
    return this.programme.data?.products ?? [];
  }

  get drops() {
    return this.programme.data?.drops ?? [];
  }

  /** Drops among which a person chooses: those that sell. */
  get selling() {
    return this.drops.filter(sells);
  }

  /** The line of `/v1/stock` of a product in a drop: looked up for each tile at each news, so by a table. */
  lineOf(sku, drop) {
    if (this.indexed !== this.stock.data) {
      this.indexed = this.stock.data;
      this.index = new Map(this.stock.data?.items.map((one) => [`${one.drop} ${one.sku}`, one]));
    }
    return this.index?.get(`${drop} ${sku}`);
  }

  /**
   * The drop that a product is sold from: the one chosen; else the basket's, if it has the product; else the first that sells and has
   * some; else any that was meant to.
   */
  dropFor(sku) {
    const named = (name) => this.drops.some((one) => one.drop === name);
    if (this.drop && named(this.drop)) return this.drop;
    const has = (name) => (this.lineOf(sku, name)?.minted ?? 0) > 0;
    if (this.basket.drop && named(this.basket.drop) && has(this.basket.drop)) return this.basket.drop;
    const having = this.selling.filter((one) => has(one.drop));
    const can = having.find((one) => canAdd(this.standingIn(sku, one.drop)));
    const shut = this.drops.filter((one) => has(one.drop));
    return (can ?? having[0])?.drop ?? (this.selling.length > 0 ? this.selling[0].drop : firstDrop(shut) ?? firstDrop(this.drops));
  }

  dropOf(name) {
    return this.drops.find((one) => one.drop === name) ?? null;
  }

  product(sku) {
    return bySku(this.products, sku);
  }

  nameOf(sku) {
    return this.product(sku)?.name ?? sku;
  }

  standingIn(sku, drop) {
    return standing(this.lineOf(sku, drop), this.dropOf(drop), this.me?.device, this.me?.venue);
  }

  /** How a product stands in the drop that it is sold from. */
  standing(sku) {
    return this.standingIn(sku, this.dropFor(sku));
  }

  /** The cart that was put aside and is being paid now, if there is one. */
  get aside() {
    if (!this.basket.aside) return null;
    return this.carts.data?.items.find((one) => one.cart === this.basket.aside.cart) ?? this.basket.aside;
  }

  /** What is to be sold: `{sku, name, price, quantity, rate}`. */
  get lines() {
    const rate = (sku) => this.product(sku)?.tax ?? 0;
    const cart = this.aside;
    if (cart) return baskets.linesOf(cart.items).map((line) => ({ ...line, name: this.nameOf(line.sku), rate: rate(line.sku) }));
    return this.basket.lines.map((line) => ({
      ...line, name: this.nameOf(line.sku), price: this.product(line.sku)?.price ?? 0, rate: rate(line.sku),
    }));
  }

  get sums() {
    return sum(this.lines, this.rules);
  }

  /** What is to be paid: as reckoned here, or as the node said when it reckoned otherwise. */
  get total() {
    return this.pay?.total ?? this.sums.total;
  }

  /** What is to be sold, in words. */
  get words() {
    return this.lines.map((line) => `${line.quantity} × ${line.name}`).join(', ');
  }

  get units() {
    return this.lines.reduce((all, line) => all + line.quantity, 0);
  }

  quantityOf(sku) {
    return this.lines.filter((line) => line.sku === sku).reduce((all, line) => all + line.quantity, 0);
  }

  /** Most of a payment that may be left to be authorised later. */
  get mayWait() {
    return mayWait(this.rules, this.me?.device, this.status.data?.deferred);
  }

  /** Puts so many more units of a product into the cart, or fewer. */
  change(sku, by) {
    if (this.busy) return false;
    if (this.panel === 'done') this.next();
    const drop = this.basket.drop ?? this.dropFor(sku);
    if (this.basket.lines.length >= baskets.MOST_LINES && by > 0 && baskets.quantityOf(this.basket, sku) === 0) return false;
    this.take(baskets.change(this.basket, sku, by, drop));
    this.panel = 'cart';
    this.pay = null;
    this.problem = null;
    this.draw();
    return true;
  }

  /** Puts one more of a product into the cart, or so many; into the one that was put aside, if that is being paid. */
  add(sku, by = 1) {
    if (this.busy) return;
    this.said = '';
    if (this.basket.aside && this.panel !== 'done') {
      changeAside(this, sku, by);
      return;
    }
    const { drop } = this.basket;
    if (by > 0 && this.panel !== 'done' && drop && this.dropFor(sku) !== drop) {
      this.tell(t('till.one_drop', { drop: this.dropOf(drop)?.title || drop }));
      return;
    }
    if (!this.change(sku, by)) this.tell(t('till.too_many_lines'));
  }

  /** A scanned product: added, and said, since nobody may be looking at the cart. */
  scan(text) {
    const product = this.product(text);
    if (!canAdd(this.standing(product.sku)) || !this.maySell) {
      toast(`${product.name}: ${standingWords(this.standing(product.sku), this.dropOf(this.dropFor(product.sku)))}`, 'bad');
      return;
    }
    this.add(product.sku);
    this.tell(t('till.added', { name: product.name }), '');
  }

  /** Says something in the line above the products; `kind` is `warn` where it did not do what was tapped. */
  tell(text, kind = 'warn') {
    this.said = text;
    this.saidKind = kind;
    this.draw();
  }

  /** Shows other products: `{category}` or `{find}`. */
  show(what) {
    Object.assign(this, what);
    this.draw();
  }

  /** Shows what is sold from one drop, or from each of them (`null`). One sale is of one drop. */
  chooseDrop(drop) {
    this.drop = drop;
    this.said = '';
    this.draw();
  }

  setBasket(what) {
    this.take({ ...this.basket, ...what });
    this.draw();
  }

  /** Takes a PIN for the pickup: 4 to 8 digits, or none. */
  setPin(text) {
    const pin = text.trim();
    const good = pin === '' || /^[0-9]{4,8}$/.test(pin);
    this.said = good ? '' : t('till.pin_bad');
    this.setBasket({ pin: good ? pin : '' });
  }

  /** Takes who it is for, in the letters that such a reference may have. */
  setShopper(text) {
    this.setBasket({ shopper: baskets.reference(text) });
  }

  /** Goes on with a cart that was put aside. */
  payAside(cart) {
    this.take({ ...baskets.empty(), aside: cart, drop: cart.drop });
    this.panel = 'cart';
    this.pay = null;
    this.problem = null;
    this.sold = null;
    this.draw();
  }

  /** Shows a refusal, with what can be done about it; `retry` does again what was refused; `what` it was: `sold` or `aside`. */
  refuse(error, retry = null, what = 'sold') {
    if (!(error instanceof Problem)) {
      toast(words(error), 'bad');
      return;
    }
    if (error.code === 'wrong_scope') this.maySell = false;
    this.retry = retry;
    this.refused = what;
    this.problem = error;
    this.panel = 'refused';
    this.draw();
  }

  deviceName(device) {
    if (device === this.me?.device) return t('till.this_till', { name: this.me.name });
    return this.devices.data?.items.find((one) => one.device === device)?.name ?? String(device ?? '').slice(0, 8);
  }

  /** Where a sale can be picked up: devices that hand out. */
  get pickups() {
    return (this.devices.data?.items ?? [])
      .filter((one) => !one.retired_by && !one.left_to && one.roles.some((role) => role === 'locker' || role === 'pos' || role === 'hq'))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Forgets what is in the cart. What was put aside stays so. */
  clear() {
    this.said = '';
    this.unfolded = false;
    this.take(baskets.empty());
    this.panel = 'cart';
    this.pay = null;
    this.problem = null;
    this.sold = null;
    this.draw();
  }

  /** Sells what a cart had that is no more, as far as there is some: units that are free take their place. */
  anew() {
    const lines = this.lines.map(({ sku, quantity }) => ({ sku, quantity }));
    this.take({ ...baskets.empty(), drop: this.basket.drop, lines });
    this.draw();
  }

  /** One step back: from paying to the cart, from the cart to an empty one. */
  back() {
    if (this.panel === 'pay' || this.panel === 'refused') {
      this.panel = 'cart';
      this.pay = null;
      this.problem = null;
      this.draw();
    } else if (this.panel === 'done' || this.panel === 'cart') {
      this.clear();
    }
  }

  /** Makes ready for the next shopper. */
  next() {
    this.clear();
  }

  /** Whether the token of this tablet may sell. What is not known is refused by the node, if it comes to that. */
  async learnRights() {
    const scope = await ownScope().catch(() => null);
    this.maySell = scope === null || SELL.has(scope);
    this.draw();
  }
}
