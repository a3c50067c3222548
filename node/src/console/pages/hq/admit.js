/** Admitting a new device: by the code that it shows, or by a code that this page shows it. */

import { act, get } from '../../frame/api.js';
import { age, number, t, time } from '../../frame/text.js';
import { dialog, html, nothing, qr, toast, words } from '../../frame/ui.js';
import { Unfit, field, needed, whole } from './form.js';

/** Roles that a device can have, and which a ticket cannot give. */
const ROLES = ['pos', 'locker', 'encoder', 'steward', 'hq'];
const BY_CODE_ALONE = ['steward', 'hq'];
const LOOK_MS = 1000;

/** What is asked for, as the API wants it. */
export function wanted(data, by) {
  const roles = ROLES.filter((role) => data[`role_${role}`]);
  if (roles.length === 0) throw new Unfit('role_pos', t('hq.admit.no_role'));
  const body = { roles, venue: needed(data.venue, 'venue'), days: whole(data.days, 'days', 1, 366) };
  if (by === 'code') {
    body.code = needed(data.code, 'code');
    if (data.name?.trim()) body.name = data.name.trim();
    if (data.at?.trim()) body.at = data.at.trim();
    if (data.reuse_name) body.reuse_name = true;
  } else {
    body.count = whole(data.count, 'count', 1, 200);
    if (data.prefix?.trim()) body.prefix = data.prefix.trim();
    body.open_ms = whole(data.minutes, 'minutes', 1, 1440) * 60_000;
  }
  return body;
}

function form(now, venues, change, submit, close) {
  const way = (by) => html`<label class="choice"><input type="radio" name="by" value=${by} ?checked=${now.by === by} @change=${() => change({ by })}>
    <span>${t(`hq.admit.by_${by}`)}</span></label>`;
  const role = (one) => html`<label class="choice"><input type="checkbox" name="role_${one}" ?checked=${one === 'pos'} ?disabled=${now.by === 'ticket' && BY_CODE_ALONE.includes(one)}>
    <span>${t(`hq.role.${one}`)}</span></label>`;
  return html`<form class="stack" novalidate @submit=${submit}>
    <fieldset class="hq-set"><legend>${t('hq.admit.how')}</legend>${way('code')}${way('ticket')}</fieldset>
    ${now.by === 'code' ? field('code', t('hq.admit.code'), { hint: t('hq.admit.code_hint') }) : nothing}
    <fieldset class="hq-set"><legend>${t('hq.admit.roles')}</legend>${ROLES.map(role)}</fieldset>
    ${now.by === 'ticket' ? html`<p class="small">${t('hq.admit.by_code_alone')}</p>` : nothing}
    ${field('venue', t('hq.admit.venue'), { value: venues[0], list: 'hq-venues' })}
    <datalist id="hq-venues">${venues.map((venue) => html`<option value=${venue}></option>`)}</datalist>
    ${now.by === 'code' ? html`
      ${field('name', t('hq.admit.name'), { hint: t('hq.admit.name_hint') })}
      <details><summary>${t('hq.admit.more')}</summary><div class="stack">
        ${field('at', t('hq.admit.at'), { hint: t('hq.admit.at_hint') })}
        <label class="choice"><input type="checkbox" name="reuse_name"><span>${t('hq.admit.reuse')}</span></label></div></details>` : html`
      ${field('count', t('hq.admit.count'), { value: '1', mode: 'numeric' })}
      ${field('prefix', t('hq.admit.prefix'), { hint: t('hq.admit.prefix_hint') })}
      ${field('minutes', t('hq.admit.minutes'), { value: '10', mode: 'numeric' })}`}
    ${field('days', t('hq.admit.days'), { value: '7', mode: 'numeric' })}
    ${now.problem ? html`<div class="note bad" role="alert">${words(now.problem)}</div>` : nothing}
    <div class="row end"><button type="button" @click=${() => close()}>${t('frame.cancel')}</button>
      <button class="primary" ?disabled=${now.busy}>${now.by === 'code' ? t('hq.admit.yes_code') : t('hq.admit.yes_ticket')}</button></div>
  </form>`;
}

/** Who knocked, who came in, and what to do if it failed. */
function progress(said) {
  return html`
    <div role="status" class="stack">
      ${said.admitted.map((one) => html`<div class="note good"><strong>${t('hq.admit.came', { name: one.name, roles: one.roles.map((role) => t(`hq.role.${role}`)).join(', '), venue: one.venue })}</strong>
        ${t('hq.admit.good_until', { when: time(one.until_ms) })} ${one.note ?? ''}</div>`)}
      ${said.state === 'failed' ? html`<div class="note bad">${said.why ?? t('hq.admit.failed')}</div>` : nothing}
      ${said.state === 'expired' ? html`<div class="note warn">${t('hq.admit.expired')}</div>` : nothing}
      ${said.refused.length ? html`<div class="note warn">${t('hq.admit.knocked', { count: said.refusals })}
        <ul class="bare">${said.refused.map((one) => html`<li>${t('hq.admit.knock', { where: one.address, when: age(one.at_ms), why: one.why })}</li>`)}</ul></div>` : nothing}
    </div>`;
}

function ticket(said) {
  if (!said.ticket) return nothing;
  const command = 'popmesh join --ticket -';
  const copy = async () => {
    await navigator.clipboard.writeText(said.ticket.text);
    toast(t('hq.admit.copied'), 'good');
  };
  return html`
    <p>${t('hq.admit.ticket_text', { command })}</p>
    <div class="hq-code">${qr(said.ticket.text, t('hq.admit.qr'))}</div>
    <details><summary>${t('hq.admit.as_text')}</summary><code class="hq-long">${said.ticket.text}</code>
      ${navigator.clipboard ? html`<div class="row"><button type="button" @click=${copy}>${t('hq.admit.copy')}</button></div>` : nothing}</details>
    <p class="small">${t('hq.admit.listens', { at: said.ticket.addresses.join(', ') })}</p>`;
}

function opened(said, code, end, close) {
  const open = said.state === 'open';
  const left = Math.max(0, Math.ceil((said.until_ms - Date.now()) / 1000));
  const head = open && code ? t('hq.admit.looking', { code }) : open ? t('hq.admit.open_for', { count: said.count - said.admitted.length }) : t(`hq.admit.state_${said.state}`);
  return html`
    <p><strong>${head}</strong></p>
    ${open && code ? html`<div class="hq-big">${code}</div>` : nothing}
    ${open ? ticket(said) : nothing}
    ${open ? html`<p class="small">${t('hq.admit.left', { time: `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}` })}</p>` : nothing}
    ${progress(said)}
    ${said.count > 1 ? html`<p>${t('hq.admit.so_far', { done: number(said.admitted.length), count: number(said.count) })}</p>` : nothing}
    <div class="row end">
      ${open ? html`<button @click=${end}>${t('hq.admit.stop')}</button>` : nothing}
      <button class=${open ? nothing : 'primary'} @click=${() => close(said)}>${open ? t('hq.admit.hide') : t('frame.close')}</button>
    </div>`;
}

/**
 * Admits devices: asks for what they are to be, then shows the code and who came. With `begun` it shows a way in that is open
 * already.
 */
export function admit(frame, nodes, begun = null) {
  const own = frame.status().device.venue;
  const venues = [own, ...new Set(nodes.map((node) => node.venue).filter((venue) => venue !== own))];
  const now = { by: 'code', busy: false, problem: null, said: begun, code: null };
  let timer = null;
  let looking = false;
  const result = dialog(t('hq.admit.title'), (close, redraw) => {
    const change = (values) => {
      Object.assign(now, values);
      redraw();
    };
    const look = async () => {
      try {
        change({ said: await get(`/v1/admissions/${now.said.admission}`) });
      } catch (error) {
        // A node that was started again has shut its ways in. One that does not answer may not have.
        if (error.status === 404) change({ said: { ...now.said, state: 'closed', ticket: undefined } });
      }
      if (now.said.state === 'open') timer = setTimeout(look, LOOK_MS);
    };
    const submit = async (event) => {
      event.preventDefault();
      if (now.busy) return;
      const element = event.currentTarget;
      try {
        const body = wanted(Object.fromEntries(new FormData(element)), now.by);
        change({ busy: true, problem: null });
        change({ said: await act('/v1/admissions', body, { name: t('hq.admit.title') }), code: body.code ?? null });
      } catch (error) {
        change({ busy: false, problem: error });
        element.querySelector(`[name="${CSS.escape(error.facts?.field ?? '')}"]`)?.focus();
      }
    };
    const end = async () => {
      try {
        change({ said: await act(`/v1/admissions/${now.said.admission}/close`, undefined, { name: t('hq.admit.stop') }) });
      } catch (error) {
        toast(words(error), 'bad');
      }
    };
    if (now.said && !looking) {
      looking = true;
      timer = setTimeout(look, LOOK_MS);
    }
    return now.said ? opened(now.said, now.code, end, close) : form(now, venues, change, submit, close);
  });
  return result.finally(() => clearTimeout(timer));
}

