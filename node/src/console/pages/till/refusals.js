/** What a refusal means at a till, and the next best step. A step is a name; `page.js` knows what each does. */

/**
 * Steps of a refusal, the best first. Each is `{step, values}`; the words are under `till.step.<step>`.
 * @param problem `{code, facts}` as the API said it
 * @param till what is asked of the page: `lines` (with `sku`, `quantity`), `mayHelp`
 */
export function steps(problem, { lines = [], helps = false } = {}) {
  const { code, facts = {} } = problem;
  const line = lines.find((one) => one.sku === facts.sku);
  const out = line ? [{ step: 'take_out', values: { sku: facts.sku } }] : [];
  const nearest = facts.holders?.find((one) => one.reachable && one.units > 0) ?? facts.holders?.find((one) => one.units > 0);
  const send = nearest ? [{ step: 'send', values: { name: nearest.name } }] : [];
  const less = line && facts.held > 0 && facts.held < line.quantity ? [{ step: 'less', values: { sku: facts.sku, count: facts.held } }] : [];
  const again = [{ step: 'again', values: {} }];
  switch (code) {
    case 'sold_out':
      return [...out, { step: 'others', values: {} }];
    case 'held_elsewhere':
      return helps ? [...again, ...less, ...send, ...out] : [...less, ...send, ...again, ...out];
    case 'not_held':
    case 'frozen':
      return [...less, ...send, ...out, ...again];
    case 'drop_not_open':
      return facts.state === 'closed' ? [{ step: 'clear', values: {} }, ...again] : again;
    case 'ambiguous_drop':
      return (facts.drops ?? []).map((name) => ({ step: 'drop', values: { name } }));
    case 'payments_differ':
      return [{ step: 'new_price', values: { total: facts.total } }];
    case 'cash_short':
      return [{ step: 'pay', values: {} }];
    case 'deferred_limit':
      return [{ step: 'pay', values: {} }, { step: 'waiting', values: {} }];
    case 'unknown_cart':
      return [{ step: 'sell_anew', values: {} }];
    case 'cart_elsewhere':
    case 'cart_out_of_reach':
      return [{ step: 'carts', values: {} }, { step: 'sell_anew', values: {} }];
    case 'unknown_sku':
      return [...out, ...again];
    case 'role_forbids':
    case 'wrong_scope':
      return [];
    case 'unknown_device':
      return [{ step: 'hand_over', values: {} }, ...again];
    case 'certificate':
    case 'suspended':
    case 'retired':
    case 'left':
    case 'past_unknown':
    case 'not_stored':
      return [...again, { step: 'health', values: {} }];
    case 'already_done':
    case 'key_of_another':
    case 'unreadable':
      return [{ step: 'find', values: {} }];
    case 'invalid':
      return [{ step: 'back', values: {} }];
    default:
      return again;
  }
}
