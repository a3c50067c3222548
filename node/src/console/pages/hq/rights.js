/** What this device and this token may not do here, who may, and what to do about it. */

import { token } from '../../frame/api.js';
import { resource } from '../../frame/live.js';
import { ownScope } from '../../frame/rights.js';
import { t } from '../../frame/text.js';
import { html } from '../../frame/ui.js';

/** Whether the token is the owner's: `null` until that is known. Without a token this is the node's own screen. */
let owner = token() ? null : true;

/** Finds out once whether this token may do what concerns the whole event. */
export async function learnOwner() {
  if (owner !== null) return owner;
  try {
    owner = await ownScope() === null;
  } catch {
    // Whoever asks next looks it up again.
  }
  return owner;
}

/** Devices of `devices` that have a role and could be asked, those in reach first. */
export const having = (devices, role) => devices
  .filter((one) => one.roles.includes(role) && !one.retired_by)
  .sort((a, b) => Number(b.reachable) - Number(a.reachable) || (a.name < b.name ? -1 : 1));

/** The devices of the event, one list for all who ask. */
export const devices = () => resource('/v1/devices?limit=1000', ['reachable', 'unreachable', 'retired', 'left', 'renewed', 'entrusted'], 5000);

/**
 * What stands above a part that this device or this token can only look at: nothing if it may do it all.
 * @param {object} status what `/v1/status` says
 * @param {Array} known the event's devices
 */
export function notice(status, known) {
  const roles = status?.device.roles ?? [];
  const notes = [];
  if (status && !roles.includes('hq')) {
    const who = having(known, 'hq').map((one) => (one.reachable ? one.name : t('hq.far', { name: one.name })));
    notes.push(who.length ? t('hq.not_hq', { name: status.device.name, who: who.join(', ') }) : t('hq.not_hq_nobody', { name: status.device.name }));
  }
  if (owner === false) notes.push(t('hq.not_owner'));
  return notes.map((text) => html`<div class="note warn" role="note">${text}</div>`);
}

/** Whether this page may be shown acts of an hq at all. They are refused with a reason in any case. */
export const mayAct = (status) => Boolean(status?.device.roles.includes('hq')) && owner !== false;

/** Whether this page may be shown what signs certificates: an hq and a steward do. */
export const mayAdmit = (status) => Boolean(status?.device.roles.some((role) => role === 'hq' || role === 'steward')) && owner !== false;
