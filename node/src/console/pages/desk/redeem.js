/** A showing, from what was scanned to what is answered: the one at a time that the desk has before it. */

import { Problem, Silence, act, get } from '../../frame/api.js';
import { t } from '../../frame/text.js';
import { found, handedOut, refused } from './answer.js';

/** Where what is handed out is asked for. */
export const REDEEM = '/v1/redemptions';
/** For how long a custodian is waited for, and for word of a door; milliseconds. */
const FETCH_MS = 10_000;
const DOOR_MS = 15_000;

const TOKEN = /POPMESH1:/i;
/**
 * What only who has the code, or its claim, can show: the token, the six letters and digits under it, the claim itself. A receipt's
 * number or a name proves nothing: what these mean is shown first, and a person decides.
 */
const SHOWN = [TOKEN, /^[ -]*(?:[0-9A-TV-Z][ -]*){6}$/i, /^[0-9a-f]{32}:[1-9]\d*$/i];

/** Whether a text is a pickup's code, as a scanner sends it. */
export const isToken = (text) => TOKEN.test(text);

/** A showing. `changed` is called whenever there is something new to be drawn. */
export class Showing {
  /** @param me this device's id @param changed called after each change @param done called with each answer */
  constructor({ me, changed, done }) {
    Object.assign(this, { me, changed, done });
    this.text = null;
    this.answer = null;
    /** Since when it is being asked, and whether nobody answers; `null` if nothing is under way. */
    this.asking = null;
    this.pin = '';
  }

  /** Whether something is under way: a second code has to wait. */
  get busy() {
    return this.asking !== null;
  }

  /** Something was scanned or typed. */
  take(text) {
    if (this.busy) return undefined;
    return SHOWN.some((form) => form.test(text)) ? this.show(text) : this.find(text);
  }

  /** What a name or a number means; nothing is handed out. */
  find(text) {
    this.text = text;
    return this.ask(async () => found(await get(`/v1/claims/${encodeURIComponent(text)}`)));
  }

  /** Hands out what the text stands for. */
  show(text, pin) {
    if (this.busy) return undefined;
    this.text = text;
    this.pin = '';
    return this.hand(() => act(REDEEM, pin ? { claim: text, pin } : { claim: text }, { name: t('desk.hand_out'), waiting: this.waiting }));
  }

  /** The PIN that the shopper says. */
  tryPin(pin) {
    return this.show(this.text, pin);
  }

  /** What came of a showing that was begun before the page was loaded again. */
  finished(text, { said, problem }) {
    if (this.busy) return undefined;
    this.text = text;
    return this.hand(async () => {
      if (problem) throw problem;
      return said;
    });
  }

  /** Has the custodian give the claim to this device, and hands it out. */
  fetch() {
    const body = { claim: this.answer.claim, to: this.me, wait_ms: FETCH_MS };
    return this.hand(async () => {
      await act('/v1/custody', body, { name: t('desk.fetch'), waiting: this.waiting });
      return act(REDEEM, { claim: this.text }, { name: t('desk.hand_out'), waiting: this.waiting });
    });
  }

  /** Lets the PIN be tried again, now that somebody has looked who is there. */
  async unlock() {
    try {
      await act(`/v1/claims/${encodeURIComponent(this.answer.claim)}/unlock`, undefined, { name: t('desk.unlock') });
      this.answer = { ...this.answer, tone: 'ask', word: t('desk.answers.pin_needed.word'), reason: '', next: '', offers: ['pin'] };
    } catch (error) {
      this.answer = { ...refused(error), claim: this.answer.claim };
    }
    this.changed();
  }

  /** Nothing is shown any more. */
  clear() {
    if (this.busy) return;
    Object.assign(this, { text: null, answer: null, pin: '' });
    this.changed();
  }

  waiting = (silent) => {
    if (this.asking) this.asking.silent = silent;
    this.changed();
  };

  hand(redeem) {
    return this.ask(async () => handedOut(await redeem()));
  }

  async ask(answer) {
    this.asking = { since: Date.now(), silent: false };
    this.answer = null;
    this.changed();
    try {
      this.answer = await answer();
    } catch (error) {
      this.answer = refused(error, await this.look(error));
    }
    this.asking = null;
    this.done(this.answer);
    this.changed();
    if (this.answer.tone === 'good') await this.label(this.answer);
    if (this.answer?.doors?.length) await this.follow(this.answer);
  }

  /** What is known of the claim that was refused, where that says more than the refusal. */
  async look(error) {
    if (!(error instanceof Problem) || error.code !== 'already_refunded') return null;
    return get(`/v1/claims/${encodeURIComponent(error.facts.claim)}`).catch(() => null);
  }

  /** The short code, for the list of answers; a device that never heard of the sale has none. */
  async label(answer) {
    const claim = await get(`/v1/claims/${encodeURIComponent(answer.claim)}`).catch(() => null);
    if (!claim) return;
    answer.label = claim.code;
    this.changed();
  }

  /** How the doors behave, until they are open or a person has to look. */
  async follow(answer) {
    for (;;) {
      try {
        answer.door = await get(`/v1/claims/${encodeURIComponent(answer.claim)}/door?wait_ms=${DOOR_MS}`);
      } catch (error) {
        if (!(error instanceof Silence)) {
          answer.problem = error;
          this.changed();
          return;
        }
        await new Promise((done) => { setTimeout(done, 1000); });
        continue;
      }
      this.changed();
      if (answer.door.state !== 'opening' || answer.door.in_doubt || this.answer !== answer) return;
    }
  }
}
