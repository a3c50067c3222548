/** Units into compartments, and where they lie. */

import { Problem, act, get } from '../../frame/api.js';
import { resource } from '../../frame/live.js';
import { t } from '../../frame/text.js';
import { confirm, html, nothing, toast, words } from '../../frame/ui.js';
import { isToken } from './redeem.js';

const KINDS = ['sold', 'moved', 'transferred', 'minted', 'damaged', 'redeemed', 'refunded', 'reset'];

/** Putting units away. `changed` is called after each change. */
export class Stow {
  constructor({ device, names, doors, changed, scan }) {
    Object.assign(this, { device, names, doors, changed, scan });
    this.stock = resource('/v1/stock?limit=1000', KINDS, 10_000);
    this.line = null;
    this.units = '';
    this.compartment = '';
    this.problem = null;
    this.last = null;
  }

  /** Begins to follow; `drawn` is called when there is news. Ends with what it returns. */
  start(drawn) {
    return this.stock.watch(drawn);
  }

  async put(line) {
    const text = this.units.trim();
    // "3x" is any three; anything else is serials, as they are printed on the pieces.
    const any = /^(\d+)\s*[x×]$/i.exec(text);
    const units = any ? { count: Number(any[1]) } : { serials: text.replace(/\s+/g, '').replaceAll('–', '-') };
    const place = `${this.device.name}/${this.compartment.trim()}`;
    this.problem = null;
    try {
      const done = await act('/v1/moves', { drop: line.drop, sku: line.sku, units, place }, { name: t('desk.stow.name') });
      this.last = { ...done, compartment: this.compartment.trim() };
      this.units = '';
      toast(t('desk.stow.done', { compartment: this.last.compartment, product: this.names.product(done.sku), units: done.units }), 'good');
      this.stock.touch();
      this.doors.touch();
    } catch (error) {
      this.problem = error;
    }
    this.changed();
  }

  /** Why it was refused; of serials that are not free here, which ones are. */
  why() {
    const { problem } = this;
    if (!(problem instanceof Problem) || problem.code !== 'not_held') return words(problem);
    const { serials, asked, held, sku } = problem.facts;
    const product = this.names.product(sku);
    return serials ? t('desk.stow.not_held', { serials, asked, product }) : t('desk.stow.too_few', { held, asked, product });
  }

  async undo() {
    try {
      const last = await get('/v1/undo');
      if (last.entry !== this.last.entry || !last.undo) {
        toast(t('desk.stow.no_undo'), 'bad');
        return;
      }
      const yes = await confirm({
        title: t('desk.stow.undo'), text: t('desk.stow.undo_text', { product: this.names.product(this.last.sku), units: this.last.units }), yes: t('desk.stow.undo'), danger: false,
      });
      if (!yes) return;
      await act('/v1/undo', { entry: last.entry }, { name: t('desk.stow.undo') });
      this.last = null;
      this.stock.touch();
      this.doors.touch();
    } catch (error) {
      toast(words(error), 'bad');
    }
    this.changed();
  }

  /** The form, and what this device has by where it lies. */
  view() {
    if (this.stock.error instanceof Problem && !this.stock.data) return html`<p class="note warn">${words(this.stock.error)}</p>`;
    if (!this.stock.data) return html`<p class="dim">${t('desk.looking')}</p>`;
    const lines = this.stock.data.items.filter((line) => line.own.on_hand > 0);
    if (lines.length === 0) return html`<p class="note">${t('desk.stow.nothing', { name: this.device.name })}</p>`;
    const key = (line) => `${line.drop} ${line.sku}`;
    const chosen = lines.find((line) => key(line) === this.line) ?? lines[0];
    const set = (name) => (event) => {
      this[name] = event.target.value;
      this.changed();
    };
    const known = (this.doors.data?.compartments ?? []).map((one) => one.compartment);
    const submit = (event) => {
      event.preventDefault();
      this.put(chosen);
    };
    // A scanner types wherever the focus is, and its Enter comes before what is missing is asked for.
    const heard = (event) => {
      if (event.key !== 'Enter' || !isToken(event.target.value)) return;
      event.preventDefault();
      const code = event.target.value;
      this.units = '';
      this.compartment = '';
      this.scan(code);
    };
    return html`
      <form class="card stack" @submit=${submit} @keydown=${heard}>
        <label><span>${t('desk.stow.product')}</span><select @change=${set('line')}>
          ${lines.map((line) => html`<option value=${key(line)} ?selected=${line === chosen}>${this.names.product(line.sku)} · ${this.names.drop(line.drop)} · ${t('desk.stow.here', { n: line.own.available })}</option>`)}
        </select></label>
        <label><span>${t('desk.stow.units')}</span><input required autocomplete="off" placeholder="41-45" .value=${this.units} @input=${set('units')}></label>
        <label><span>${t('desk.stow.compartment')}</span><input required autocomplete="off" list="desk-known" placeholder="07" .value=${this.compartment} @input=${set('compartment')}></label>
        <datalist id="desk-known">${known.map((one) => html`<option value=${one}></option>`)}</datalist>
        ${this.problem ? html`<p class="note bad" role="alert">${this.why()}</p>` : nothing}
        <div class="row end">
          ${this.last ? html`<button type="button" @click=${() => this.undo()}>${t('desk.stow.undo')}</button>` : nothing}
          <button class="primary">${t('desk.stow.put')}</button>
        </div>
      </form>
      <h3>${t('desk.stow.lying')}</h3>
      <ul class="desk-list">${lines.map((line) => html`<li class="card">
        <b>${this.names.product(line.sku)}</b> <span class="small">${line.sku} · ${this.names.drop(line.drop)}</span>
        <p class="small">${line.places.map((one) => t('desk.stow.at', { n: one.units, count: one.units, place: one.place })).join(' · ')}</p></li>`)}</ul>`;
  }
}
