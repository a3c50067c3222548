/** Forms in dialogs: they are drawn once, so that news never touches what is being typed. */

import { act } from '../../frame/api.js';
import { t } from '../../frame/text.js';
import { dialog, html, nothing, toast, words } from '../../frame/ui.js';

/** Puts the focus where something has to be mended: on the field that the problem names, else on what it says. */
function show(form, error) {
  const named = form.querySelector(`[name="${CSS.escape(error.facts?.field ?? '')}"]`);
  named?.setAttribute('aria-invalid', 'true');
  named?.focus();
  form.querySelector('[role=alert]')?.scrollIntoView({ block: 'nearest' });
}

/**
 * Asks for something and has it done.
 * @param {object} form
 * @param {string} form.title the dialog's heading
 * @param {() => any} form.fields the fields, named; drawn again only by `redraw` of what they are given
 * @param {(data: object, form: HTMLFormElement, how: object) => any} form.send does it, as `send` below; a problem it throws is shown in the dialog
 * @param {string} form.yes what the button says
 * @param {boolean} [form.danger] whether it cannot be taken back
 * @param {(data: object) => Promise<{text: any, yes: string, danger?: boolean} | null>} [form.review] what will happen, asked
 *   for once more before it is done; nothing more is asked if it gives `null`
 * @returns {Promise<any>} what `send` answered, or `undefined` if it was left
 */
export function ask({ title, fields, send, yes, danger = false, review }) {
  const now = { problem: null, busy: false, waits: false, review: null };
  let data = null;
  let over = false;
  const result = dialog(title, (close, redraw) => {
    const change = (values) => {
      Object.assign(now, values);
      redraw();
    };
    const perform = async (form) => {
      change({ busy: true, problem: null });
      try {
        const said = await send(data, form, { name: title, waiting: (waits) => change({ waits }) });
        // Who has left meanwhile is told all the same.
        if (over) toast(t('hq.done_later', { what: title }), 'good');
        else close(said);
      } catch (error) {
        if (over) toast(words(error), 'bad');
        change({ busy: false, waits: false, review: null, problem: error });
        show(form, error);
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
      form.querySelectorAll('[aria-invalid]').forEach((one) => one.removeAttribute('aria-invalid'));
      data = Object.fromEntries(new FormData(form));
      if (review) {
        change({ busy: true, problem: null });
        try {
          const said = await review(data, form);
          change({ busy: false, review: said });
          if (said) {
            form.querySelector('[data-back]').focus();
            return;
          }
        } catch (error) {
          change({ busy: false, problem: error });
          show(form, error);
          return;
        }
      }
      await perform(form);
    };
    // The second half of a double tap on the button that asked is no answer.
    const once = (event) => {
      if (now.review && event.detail > 1) event.preventDefault();
    };
    const button = now.review ?? { yes, danger };
    return html`<form class="stack" novalidate @submit=${submit}>
      <div class="stack" ?hidden=${now.review !== null}>${fields({ redraw, close })}</div>
      ${now.review ? html`<div class="stack" role="status">${now.review.text}</div>` : nothing}
      ${now.problem ? html`<div class="note bad" role="alert">${words(now.problem)}</div>` : nothing}
      ${now.waits ? html`<p class="dim" role="status">${t('hq.asking_again')}</p>` : nothing}
      <div class="row end">
        ${now.review
    ? html`<button type="button" data-back ?disabled=${now.busy} @click=${() => change({ review: null })}>${t('hq.back')}</button>`
    : html`<button type="button" ?disabled=${now.busy} @click=${() => close()}>${t('frame.cancel')}</button>`}
        <button class=${button.danger ? 'danger' : 'primary'} ?disabled=${now.busy} aria-busy=${now.busy} @click=${once}>${button.yes}</button>
      </div>
    </form>`;
  });
  result.then(() => { over = true; });
  return result;
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

/** Does what a form asked for; `how` is what the form's `send` was given: what the act is called, and who is told that it waits. */
export const send = (path, body, how) => act(path, body, how);
