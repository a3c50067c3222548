/** Retiring a device that is lost or dead, with what that risks, and giving away the right to do so. */

import { Problem, act, all, get } from '../../frame/api.js';
import { age, number, t, time } from '../../frame/text.js';
import { dialog, html, nothing, toast, words } from '../../frame/ui.js';
import { choice, ask, send } from './form.js';

/** What is at risk, in words. */
function risk(said) {
  const heard = said.last_heard_ms ? t('hq.retire.heard', { when: time(said.last_heard_ms), age: age(said.last_heard_ms) }) : t('hq.retire.never_heard');
  return html`
    <p>${said.reachable ? html`<strong>${t('hq.retire.reachable', { name: said.name })}</strong>` : heard}</p>
    ${said.held.length + said.claims === 0 ? html`<p>${t('hq.retire.nothing', { name: said.name })}</p>` : html`
      <p>${t('hq.retire.held', { name: said.name })}</p>
      <ul>
        ${said.held.map((one) => html`<li>${t('hq.retire.units', { number: number(one.units), sku: one.sku, drop: one.drop })}</li>`)}
        <li>${t('hq.retire.claims', { count: said.claims })}</li>
      </ul>`}
    ${said.at_risk === 0 ? html`<div class="note">${t('hq.retire.no_risk')}</div>`
    : html`<div class="note bad"><strong>${t('hq.retire.risk', { count: said.at_risk })}</strong> ${t('hq.retire.risk_text')}</div>`}
    <p>${t('hq.retire.forever', { name: said.name })}</p>`;
}

/** What a device that may not retire can say: the risk, and who may. */
function sayWho(said, who) {
  return dialog(t('hq.retire.title', { name: said.name }), (close) => html`
    <div class="note warn">${who.length ? t('hq.registrar.elsewhere', { who: who.join(', ') }) : t('hq.registrar.nobody')}</div>
    ${risk(said)}
    <div class="row end"><button class="primary" @click=${() => close()}>${t('frame.close')}</button></div>`);
}

const plain = (text) => text.trim().normalize('NFC');

/** Retires a device: shows what it risks, and wants its name typed. Asks anew where the risk is another meanwhile. */
export async function retire(node) {
  const path = `/v1/devices/${node.device}/retirement`;
  let said;
  let rights;
  try {
    [said, rights] = await Promise.all([get(path), all('/v1/registrars')]);
  } catch (error) {
    toast(words(error), 'bad');
    return;
  }
  if (!rights.some((one) => one.here && !one.retired_by)) {
    await sayWho(said, rights.filter((one) => !one.retired_by).map((one) => one.name));
    return;
  }
  const now = { typed: '', busy: false, problem: null, changed: false };
  const done = await dialog(t('hq.retire.title', { name: node.name }), (close, redraw) => {
    const change = (values) => {
      Object.assign(now, values);
      redraw();
    };
    const submit = async (event) => {
      event.preventDefault();
      if (now.busy || plain(now.typed) !== said.name) return;
      change({ busy: true, problem: null, changed: false });
      try {
        close(await act('/v1/retirements', { device: node.device, at_risk: said.at_risk, ...(said.reachable ? { reachable: true } : {}) }, { name: t('hq.retire.title', { name: node.name }) }));
      } catch (error) {
        const changed = error instanceof Problem && error.code === 'risk_changed';
        const again = await get(path).catch(() => said);
        said = again;
        change({ busy: false, changed, problem: changed ? null : error });
      }
    };
    const typed = (event) => change({ typed: event.target.value });
    return html`<form class="stack" @submit=${submit}>
      ${now.changed ? html`<div class="note warn" role="alert">${t('hq.retire.changed')}</div>` : nothing}
      ${risk(said)}
      <label><span>${t('hq.retire.type', { name: said.name })}</span>
        <input name="typed" autocomplete="off" autocapitalize="off" spellcheck="false" @input=${typed}></label>
      ${now.problem ? html`<div class="note bad" role="alert">${words(now.problem)}</div>` : nothing}
      <div class="row end">
        <button type="button" @click=${() => close()}>${t('frame.cancel')}</button>
        <button class="danger" ?disabled=${now.busy || plain(now.typed) !== said.name}>${t('hq.retire.yes', { name: said.name })}</button>
      </div>
    </form>`;
  });
  if (!done) return;
  const units = done.held.reduce((sum, one) => sum + one.units, 0);
  toast(t('hq.retire.done', { name: node.name, number: number(units) }), 'good');
}

/** Gives the right to retire to another hq. */
export async function entrust(hqs) {
  const done = await ask({
    title: t('hq.registrar.title'),
    yes: t('hq.next'),
    fields: () => html`<p>${t('hq.registrar.text')}</p>${choice('to', t('hq.registrar.to'), hqs.map((one) => [one.device, one.name]))}`,
    review: async (data) => ({
      text: html`<p>${t('hq.registrar.review', { name: hqs.find((one) => one.device === data.to)?.name ?? '' })}</p>`,
      yes: t('hq.registrar.yes'),
      danger: true,
    }),
    send: (data, form, how) => send('/v1/registrars', { to: data.to }, how),
  });
  if (done) toast(t('hq.registrar.done', { name: done.name }), 'good');
}

