/** Selling: one act with one key, however often it has to be asked for. */

import { Problem, act, unanswered } from '../../frame/api.js';
import { ours } from '../../frame/acts.js';
import { toast, words } from '../../frame/ui.js';
import { onEvent } from '../../frame/live.js';
import * as baskets from './basket.js';

/**
 * How long one request waits for units of others, milliseconds: so long it may take until "stop" has its effect. A large wish is
 * gathered from several, which keep what they promised for that long only.
 */
const WAIT_MS = 3000;
const LARGE_WAIT_MS = 15_000;
/** How often it is asked again while others in reach could give what is wanted. */
const TRIES = 5;

const waitFor = (till) => (till.lines.some((line) => line.quantity > (till.rules.ordinary_wish ?? Infinity)) ? LARGE_WAIT_MS : WAIT_MS);

/** What a sale of the basket asks for. */
export function body(till, payments) {
  const { basket } = till;
  const what = basket.aside
    ? { cart: basket.aside.cart }
    : { drop: basket.drop, items: basket.lines.map(({ sku, quantity }) => ({ sku, quantity })), wait_ms: waitFor(till) };
  return {
    ...what,
    payments,
    ...(basket.pickup ? { pickup_at: basket.pickup, ...(basket.pin ? { pin: basket.pin } : {}) } : {}),
    ...(basket.shopper && !basket.aside ? { shopper: basket.shopper } : {}),
  };
}

const couldGet = ({ facts }) => facts.could_get ?? facts.holders?.filter((one) => one.reachable).reduce((all, one) => all + one.units, facts.held ?? 0) ?? 0;

/** Whether asking once more may help: others in reach have as much as is wanted. */
export const mayHelp = (error) => error.code === 'held_elsewhere' && couldGet(error) >= error.facts.wanted;

/** What is not here of what is sold, in words, and who in reach has some: empty where all is here. */
function lacking(till) {
  if (till.basket.aside || till.basket.pickup) return { what: '', who: null };
  const short = till.lines
    .map((line) => ({ ...line, found: till.standing(line.sku) }))
    .filter((line) => line.quantity > line.found.here);
  return {
    what: short.map((line) => `${line.quantity - line.found.here} × ${line.name}`).join(', '),
    who: short.flatMap((line) => line.found.others).find((one) => one.reachable)?.name ?? null,
  };
}

function begin(till) {
  const { what, who } = lacking(till);
  till.panel = 'busy';
  till.problem = null;
  till.busy = { silent: false, stopping: false, what, asking: who, tries: 0, wait: waitFor(till) };
  till.draw();
}

function waiting(till) {
  return (on) => {
    if (!till.busy) return;
    till.busy.silent = on;
    till.draw();
  };
}

function done(till, claim) {
  till.sold = claim;
  till.busy = null;
  till.pay = null;
  till.panel = 'done';
  till.take(baskets.empty());
  till.stock.touch();
  till.carts.touch();
  till.status.touch();
  till.draw();
  till.arrive?.();
}

function refused(till, error) {
  till.busy = null;
  if (!(error instanceof Problem)) {
    toast(words(error), 'bad');
    till.panel = 'cart';
  } else {
    if (error.code === 'wrong_scope') till.maySell = false;
    till.problem = error;
    till.refused = 'sold';
    till.panel = 'refused';
  }
  till.stock.touch();
  till.programme.touch();
  till.draw();
  till.arrive?.();
}

/** Sells what is in the basket, paid so. While others are asked for units, it can be stopped: then nothing was sold. */
export async function sell(till, payments) {
  if (till.busy) return;
  begin(till);
  till.retry = () => sell(till, payments);
  const asked = body(till, payments);
  for (;;) {
    till.busy.tries += 1;
    try {
      done(till, await act('/v1/sales', asked, { name: till.words, waiting: waiting(till) }));
      return;
    } catch (error) {
      const again = error instanceof Problem && mayHelp(error) && !till.busy.stopping && till.busy.tries < TRIES;
      if (!again) {
        refused(till, error);
        return;
      }
      till.busy.asking = error.facts.holders?.find((one) => one.reachable)?.name ?? till.busy.asking;
      till.busy.what ||= `${error.facts.wanted - error.facts.held} × ${till.nameOf(error.facts.sku)}`;
      till.draw();
    }
  }
}

/** Stops asking others. What was asked last may still be sold; then it says so. */
export function stop(till) {
  if (!till.busy) return;
  till.busy.stopping = true;
  till.draw();
}

/** Whether an act of an earlier load of this page is a sale. */
export const isSale = (one) => one.path === '/v1/sales';

const openSale = () => unanswered().some((one) => isSale(one) && ours(one));

/** Where an earlier load of this page had begun a sale, nothing is sold until the frame says what became of it. */
export function expect(till) {
  if (!till.busy && openSale()) {
    begin(till);
    Object.assign(till.busy, { silent: true, expected: true });
  } else if (till.busy?.expected && !openSale()) {
    till.busy = null;
    till.panel = 'cart';
  }
}

/** Takes what became of a sale of an earlier load of this page. */
export function finished(till, { said, problem }) {
  if (said) done(till, said);
  else refused(till, problem);
}

/** Hears whom the node asks for units. Ends with what it returns. */
export function hearAsking(till) {
  return onEvent(({ kind, data }) => {
    if (kind !== 'asking' || !till.busy) return;
    if (!till.lines.some((line) => line.sku === data.sku)) return;
    till.busy.asking = data.name;
    till.busy.what ||= `${data.units} × ${till.nameOf(data.sku)}`;
    till.draw();
  });
}
