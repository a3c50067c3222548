/** Selling: one act with one key, however often it has to be asked for. */

import { Problem, act, finish, unanswered } from '../../frame/api.js';
import { toast, words } from '../../frame/ui.js';
import { onEvent } from '../../frame/live.js';
import { t } from '../../frame/text.js';
import * as baskets from './basket.js';

/** How long one request waits for units of others, milliseconds. So long it may take until "stop" has its effect. */
const WAIT_MS = 3000;
/** How often it is asked again while others in reach could give what is wanted. */
const TRIES = 5;
const NAME = 'till.sale';

/** What a sale of the basket asks for. */
export function body(till, payments) {
  const { basket } = till;
  const what = basket.aside
    ? { cart: basket.aside.cart }
    : { drop: basket.drop, items: basket.lines.map(({ sku, quantity }) => ({ sku, quantity })), wait_ms: WAIT_MS };
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

function begin(till) {
  till.panel = 'busy';
  till.problem = null;
  till.busy = { since: Date.now(), silent: false, stopping: false, asking: null, tries: 0 };
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
      done(till, await act('/v1/sales', asked, { name: NAME, waiting: waiting(till) }));
      return;
    } catch (error) {
      const again = error instanceof Problem && mayHelp(error) && !till.busy.stopping && till.busy.tries < TRIES;
      if (!again) {
        refused(till, error);
        return;
      }
      till.busy.asking ??= error.facts.holders?.find((one) => one.reachable)?.name ?? null;
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

/** Goes on with what an earlier load of this page had begun, and says what became of it. */
export async function resume(till) {
  for (const one of unanswered()) {
    const sale = one.name === NAME;
    if (sale) begin(till);
    else if (!one.name.startsWith('till.')) continue;
    try {
      const said = await finish(one, { waiting: sale ? waiting(till) : () => {} });
      if (sale) done(till, said);
      else toast(t('till.done_after_all'), 'good');
    } catch (error) {
      if (sale) refused(till, error);
      else toast(words(error), 'bad');
    }
  }
}

/** Hears whom the node asks for units. Ends with what it returns. */
export function hearAsking(till) {
  return onEvent(({ kind, data }) => {
    if (kind !== 'asking' || !till.busy) return;
    if (!till.lines.some((line) => line.sku === data.sku)) return;
    till.busy.asking = data.name;
    till.draw();
  });
}
