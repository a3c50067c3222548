/** What is known of a device, in words; no drawing. */

import { age, number, t, time } from '../../frame/text.js';

/**
 * How a device stands: one of `here`, `linked`, `heard` (through others), `silent`, `unheard` (never), `suspended`, `left`,
 * `retired`.
 */
export function stateOf(node) {
  if (node.retired_by) return 'retired';
  if (node.left_to) return 'left';
  if (node.here) return 'here';
  if (node.suspended) return 'suspended';
  if (node.reachable) return node.linked ? 'linked' : 'heard';
  return node.last_heard_ms ? 'silent' : 'unheard';
}

/** The state in a few words, which stand beside its sign; `short` where there is little room. */
export function stateWords(node, short = false) {
  const state = stateOf(node);
  if (short && state === 'silent') return t('hq.state_short', { when: time(node.last_heard_ms) });
  return t(`hq.state.${state}`, { by: node.retired_by ?? '', when: node.last_heard_ms ? time(node.last_heard_ms) : '' });
}

/** The sign of a state: a shape, so that colour is never alone. */
export const SIGNS = { here: '◆', linked: '●', heard: '◐', silent: '○', unheard: '○', suspended: '▲', left: '◻', retired: '✕' };

/** Whether a state is one that somebody should look at. */
export const isTrouble = (state) => ['silent', 'unheard', 'suspended'].includes(state);

/** Roles in words. */
export const roleWords = (roles) => roles.map((role) => t(`hq.role.${role}`)).join(', ');

/** The sign of a device's work: of the first of its roles that shows. */
export function roleSign(roles) {
  const role = ['hq', 'encoder', 'locker', 'pos', 'steward', 'registrar'].find((one) => roles.includes(one));
  return role ? t(`hq.role_sign.${role}`) : '?';
}

/** How far a device is behind, as far as is known. */
export function lagWords(node) {
  if (node.here || node.retired_by) return '–';
  if (node.lacks === undefined && node.lacked === undefined) return t('hq.lag.unknown');
  const parts = [];
  if (node.lacks) parts.push(t('hq.lag.lacks', { count: node.lacks, number: number(node.lacks) }));
  if (node.lacked) parts.push(t('hq.lag.lacked', { count: node.lacked, number: number(node.lacked) }));
  return parts.length ? parts.join(', ') : t('hq.lag.none');
}

/** When a device was heard. */
export function heardWords(node) {
  if (node.here) return '–';
  if (node.reachable) return t('hq.heard_now');
  return node.last_heard_ms ? `${time(node.last_heard_ms)} (${age(node.last_heard_ms)})` : t('hq.never');
}

/** The neighbours of a device, each with the medium and what is known of the link. */
export function neighbours(device, edges, names) {
  return edges.filter((edge) => edge.a === device || edge.b === device).map((edge) => {
    const other = edge.a === device ? edge.b : edge.a;
    return { device: other, name: names.get(other) ?? other.slice(0, 8), edge };
  }).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** How long a word about a link is new, milliseconds. */
const NEW_MS = 60_000;

/** Whether a link is told of by an old word alone. */
export const isOld = (edge, now) => edge.as_of_ms !== undefined && now - edge.as_of_ms > NEW_MS;

/** One link in words: the medium, how long a message takes, how strong the radio is, and the age of the word. */
export function linkWords(edge, now) {
  const parts = [t(`hq.medium.${edge.medium}`)];
  if (edge.rtt_ms !== undefined && edge.rtt_ms !== null) parts.push(t('hq.ms', { ms: number(Math.max(1, Math.round(edge.rtt_ms))) }));
  if (edge.rssi_dbm !== undefined && edge.rssi_dbm !== null) parts.push(t('hq.dbm', { dbm: number(edge.rssi_dbm) }));
  if (isOld(edge, now)) parts.push(t('hq.as_of', { when: time(edge.as_of_ms) }));
  return parts.join(', ');
}

/** Whether it is known that a device sees nobody: it said so, and is heard. */
export const knowsNobody = (node) => node.here || Boolean(node.reachable && node.told_at_ms);

/** How many neighbours of one kind of link are named. */
const SEEN = 8;

/** Whom a device sees, by the kind of link; says so where nothing is known of it. */
export function seesWords(node, edges, names, now) {
  const seen = neighbours(node.device, edges, names);
  if (seen.length === 0) return t(knowsNobody(node) ? 'hq.sees_none' : 'hq.sees_unknown');
  const by = new Map();
  for (const one of seen) {
    const name = isOld(one.edge, now) ? t('hq.sees_old', { name: one.name, when: time(one.edge.as_of_ms) }) : one.name;
    by.set(one.edge.medium, [...(by.get(one.edge.medium) ?? []), name]);
  }
  return [...by].map(([medium, all]) => {
    const named = all.slice(0, SEEN);
    if (all.length > SEEN) named.push(t('hq.sees_more', { count: all.length - SEEN }));
    return t(`hq.sees_by.${medium}`, { names: named.join(', ') });
  }).join('; ');
}

/** How long a certificate is good, and whether that is soon over: `good`, `soon` or `over`. */
export function certificateState(until, now) {
  if (until <= now) return 'over';
  return until - now < 2 * 86_400_000 ? 'soon' : 'good';
}
