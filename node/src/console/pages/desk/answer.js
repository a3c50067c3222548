/**
 * What the desk answers to a showing: the words for what the API said. Nothing is decided here; each outcome and each refusal has
 * a tone, a word, its reason, and what to do next.
 */

import { Problem } from '../../frame/api.js';
import { has, t, time } from '../../frame/text.js';
import { words } from '../../frame/ui.js';

/**
 * An answer. `tone`: `good` hand out; `bad` do not; `wait` not here, or not yet; `ask` something is wanted first.
 * @typedef {{tone: string, word: string, reason: string, next: string, code?: string, facts?: object, at: number,
 *   items?: object[], claim?: string, label?: string, offers: string[], door?: object, of: object}} Answer
 * `of` is what the words were made from, so that they can be made again in another language.
 */

/** What a shopper brought is handed out. */
export function handedOut(done) {
  const compartments = [...new Set(done.items.map((item) => item.compartment).filter(Boolean))];
  const byHand = compartments.length > 0 && !done.doors?.length;
  return {
    tone: 'good',
    word: t('desk.hand_out'),
    reason: byHand ? t('desk.open_by_hand', { compartments: compartments.join(', '), count: compartments.length }) : '',
    next: '',
    at: done.at_ms,
    claim: done.claim,
    items: done.items,
    doors: done.doors ?? [],
    offers: [],
    of: { done },
  };
}

/** What a name or a number means, before anything is handed out. */
export function found(claim) {
  const waits = claim.state === 'issued';
  return {
    tone: waits ? 'ask' : 'bad',
    word: waits ? t('desk.is_it') : t(`desk.states.${claim.state}`),
    reason: waits ? t('desk.waiting.ask_text') : '',
    next: '',
    at: Date.now(),
    claim: claim.claim,
    label: claim.code,
    shopper: claim.shopper ?? undefined,
    items: claim.items,
    offers: waits ? ['sure'] : [],
    of: { found: claim },
  };
}

/** Codes that say "not here" or "not now" rather than "no". */
const WAITS = new Set(['not_custodian', 'ambiguous_claim', 'in_progress', 'busy', 'stopping', 'not_answered', 'clocks_disagree']);
const ASKS = new Set(['pin_needed', 'wrong_pin']);

function wait(ms) {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  return seconds < 90
    ? t('desk.in_seconds', { n: seconds, count: seconds })
    : t('desk.in_minutes', { n: Math.ceil(seconds / 60), count: Math.ceil(seconds / 60) });
}

/** A wrong PIN that was the last that may be tried: from now on it is locked. */
const locks = ({ code, facts }) => code === 'wrong_pin' && facts.left === 0;

function offersOf(error) {
  if (locks(error)) return ['unlock'];
  switch (error.code) {
    case 'not_custodian': return error.facts.reachable ? ['fetch'] : [];
    case 'pin_needed': case 'wrong_pin': return ['pin'];
    case 'pin_locked': return ['unlock'];
    case 'ambiguous_claim': return ['choose'];
    default: return [];
  }
}

/** Which text says it: a refusal can have several, by what its facts say. */
function kindOf(error, claim) {
  const { code, facts } = error;
  if (code === 'token') return `token_${facts.why}`;
  if (code === 'not_custodian') return facts.reachable ? 'not_custodian' : 'not_custodian_away';
  if (locks(error)) return 'pin_locked_now';
  if (code === 'pin_locked') {
    if (typeof facts.unlock_in_ms !== 'number') return 'pin_locked_hq';
    return facts.unlock_in_ms > 0 ? 'pin_locked_wait' : 'pin_locked';
  }
  if (code === 'already_refunded' && claim) return `already_${claim.state}`;
  return code;
}

/** The facts of a refusal as they stand in texts: times and durations as people read them. */
function facing(facts, claim) {
  return {
    ...facts,
    time: typeof facts.at_ms === 'number' ? time(facts.at_ms) : '',
    wait: typeof facts.unlock_in_ms === 'number' ? wait(facts.unlock_in_ms) : '',
    tries: facts.left,
    count: facts.left ?? facts.count,
    until: claim?.expires_ms ? time(claim.expires_ms) : '',
  };
}

/**
 * What was refused, or went wrong.
 * @param claim what is known of the claim, if anything
 */
export function refused(error, claim = null) {
  const code = error instanceof Problem ? error.code : 'unknown';
  const facts = error instanceof Problem ? error.facts : {};
  const kind = error instanceof Problem ? kindOf(error, claim) : code;
  const values = facing(facts, claim);
  const text = (part) => (has(`desk.answers.${kind}.${part}`) ? t(`desk.answers.${kind}.${part}`, values) : null);
  return {
    wrong: kind === 'wrong_pin',
    tone: ASKS.has(kind) ? 'ask' : WAITS.has(code) ? 'wait' : 'bad',
    word: text('word') ?? t('desk.do_not'),
    reason: text('reason') ?? words(error),
    next: text('next') ?? '',
    code,
    facts,
    at: Date.now(),
    claim: typeof facts.claim === 'string' ? facts.claim : undefined,
    offers: error instanceof Problem ? offersOf(error) : [],
    of: { refused: { status: error?.status ?? null, said: error instanceof Problem ? facts : { detail: error?.message } }, claim },
  };
}

/** An answer in the language of now; what became of it since (its doors, its code) stays. */
export function again(answer) {
  const { done, found: claim, refused: no, claim: about } = answer.of;
  const is = done ? handedOut(done) : claim ? found(claim) : refused(no.status === null ? new Error(no.said.detail) : new Problem(no.status, no.said), about);
  return Object.assign(answer, { word: is.word, reason: is.reason, next: is.next });
}

/** The tone and the word of an answer: of one that hands out, by how its doors behaved. */
export function headline(answer) {
  const { door } = answer;
  if (!door || answer.tone !== 'good') return answer;
  if (door.handed_over === false) return { tone: 'bad', word: t('desk.door.word_not') };
  if (door.handed_over !== true && (door.in_doubt || door.state === 'stuck')) return { tone: 'wait', word: t('desk.door.word_stuck') };
  return answer;
}

/** How the doors stand, in a word and its tone. */
export function doorWords(door) {
  const where = (door.shut?.length ? door.shut : door.compartments).join(', ');
  if (door.handed_over === true) return { tone: 'good', text: t('desk.door.handed_over', { who: door.looked ?? '' }) };
  if (door.handed_over === false) return { tone: 'bad', text: t('desk.door.not_handed_over', { who: door.looked ?? '' }) };
  if (door.in_doubt) return { tone: 'bad', text: t('desk.door.in_doubt', { where }) };
  if (door.state === 'stuck') return { tone: 'bad', text: t('desk.door.stuck', { where, why: door.problem ?? '' }) };
  if (door.state === 'opened') return { tone: 'good', text: t('desk.door.opened', { where: door.compartments.join(', ') }) };
  return { tone: 'wait', text: t('desk.door.opening', { where: door.compartments.join(', ') }) };
}
