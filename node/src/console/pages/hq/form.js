/** Forms in dialogs: they are drawn once, so that news never touches what is being typed. */

import { act } from '../../frame/api.js';
import { t } from '../../frame/text.js';
import { dialog, html, nothing, words } from '../../frame/ui.js';

/**
 * Asks for something and has it done.
 * @param {object} form
 * @param {string} form.title the dialog's heading
 * @param {() => any} form.fields the fields, named; drawn again only by `redraw` of what they are given
 * @param {(data: object, form: HTMLFormElement) => any} form.send does it; a problem it throws is shown in the dialog
 * @param {string} form.yes what the button says
 * @param {boolean} [form.danger] whether it cannot be taken back
 * @param {(data: object) => Promise<{text: any, yes: string, danger?: boolean} | null>} [form.review] what will happen, asked
 *   for once more before it is done; nothing more is asked if it gives `null`
 * @returns {Promise<any>} what `send` answered, or `undefined` if it was left
 */
export function ask({ title, fields, send, yes, danger = false, review }) {
  const now = { problem: null, busy: false, waits: false, review: null };
  let data = null;
  return dialog(title, (close, redraw) => {
    const change = (values) => {
      Object.assign(now, values);
      redraw();
    };
    const perform = async (form) => {
      change({ busy: true, problem: null });
      try {
        close(await send(data, form, (waits) => change({ waits })));
      } catch (error) {
        change({ busy: false, waits: false, review: null, problem: error });
        form.querySelector(`[name="${CSS.escape(error.facts?.field ?? '')}"]`)?.focus();
      }
    };
    const submit = async (event) => {
      event.preventDefault();
      const form = event.currentTarget;
      if (now.busy) return;
      if (now.review) {
        await perform(form);
        return;
      }
      data = Object.fromEntries(new FormData(form));
      if (review) {
        change({ busy: true, problem: null });
        try {
          const said = await review(data, form);
          change({ busy: false, review: said });
          if (said) return;
        } catch (error) {
          change({ busy: false, problem: error });
          return;
        }
      }
      await perform(form);
    };
    const button = now.review ?? { yes, danger };
    return html`<form class="stack" novalidate @submit=${submit}>
      <div class="stack" ?hidden=${now.review !== null}>${fields({ redraw, close })}</div>
      ${now.review ? html`<div class="stack" role="status">${now.review.text}</div>` : nothing}
      ${now.problem ? html`<div class="note bad" role="alert">${words(now.problem)}</div>` : nothing}
      ${now.waits ? html`<p class="dim" role="status">${t('hq.asking_again')}</p>` : nothing}
      <div class="row end">
        ${now.review
    ? html`<button type="button" ?disabled=${now.busy} @click=${() => change({ review: null })}>${t('hq.back')}</button>`
    : html`<button type="button" ?disabled=${now.busy} @click=${() => close()}>${t('frame.cancel')}</button>`}
        <button class=${button.danger ? 'danger' : 'primary'} ?disabled=${now.busy} aria-busy=${now.busy}>${button.yes}</button>
      </div>
    </form>`;
  });
}

/** Something that was typed and cannot be; the field is focused. */
export class Unfit extends Error {
  constructor(field, text) {
    super(text);
    this.facts = { field };
  }
}

/** A whole number that was typed, between bounds. */
export function whole(text, field, least = 1, most = Number.MAX_SAFE_INTEGER) {
  const value = Number(String(text).trim());
  if (!/^\s*\d+\s*$/.test(String(text)) || value < least || value > most) throw new Unfit(field, t('hq.not_a_number', { least }));
  return value;
}

/** A text that must be there. */
export function needed(text, field) {
  const said = String(text ?? '').trim();
  if (!said) throw new Unfit(field, t('hq.needed'));
  return said;
}

/** A labelled field. `attributes` are of the input; the hint is read with it. */
export function field(name, label, { value = '', hint, type = 'text', mode, list, max } = {}) {
  const id = `hq-hint-${name}`;
  return html`<label><span>${label}</span>
    <input name=${name} type=${type} value=${value} inputmode=${mode ?? nothing} list=${list ?? nothing} maxlength=${max ?? nothing}
      autocomplete="off" autocapitalize="off" spellcheck="false" aria-describedby=${hint ? id : nothing}>
    ${hint ? html`<small class="small" id=${id}>${hint}</small>` : nothing}</label>`;
}

/** A labelled choice out of `options`: `[value, text]`. */
export function choice(name, label, options, { value, change, hint } = {}) {
  const id = `hq-hint-${name}`;
  return html`<label><span>${label}</span>
    <select name=${name} @change=${change ?? nothing} aria-describedby=${hint ? id : nothing}>
      ${options.map(([key, text]) => html`<option value=${key} ?selected=${key === value}>${text}</option>`)}
    </select>${hint ? html`<small class="small" id=${id}>${hint}</small>` : nothing}</label>`;
}

/** Sends an act of a form, and says so while it has to be asked for again. */
export const send = (path, body, waiting) => act(path, body, { waiting });
