/**
 * Sums, tax, change: what a till reckons before the node does. All amounts are whole minor units. No page in here, so that
 * it can be tested by itself; the node checks each sum again and refuses what differs.
 */

/** `numerator / denominator` in whole numbers, halves away from zero. The denominator is above zero. */
function divide(numerator, denominator) {
  const sign = numerator < 0 ? -1n : 1n;
  const size = numerator < 0 ? -numerator : numerator;
  return sign * ((2n * size + denominator) / (2n * denominator));
}

/** Tax on `amount`, at `rate` basis points. */
const taxOn = (amount, rate) => Number(divide(BigInt(amount) * BigInt(rate), 10_000n));

/**
 * What lines come to, by the event's rules.
 * @param lines `{price, quantity, rate}`: minor units, units, basis points
 * @param rules `prices` ("included" or "excluded") and `round` ("line" or "receipt")
 * @returns `{goods, tax, total}`: `tax` is what comes on top, 0 where prices include it
 */
export function sum(lines, rules = {}) {
  const amounts = lines.map((line) => line.price * line.quantity);
  const goods = amounts.reduce((all, amount) => all + amount, 0);
  let tax = 0;
  if (rules.prices === 'excluded') {
    if (rules.round === 'line') {
      tax = lines.reduce((all, line, at) => all + taxOn(amounts[at], line.rate ?? 0), 0);
    } else {
      const rates = new Map();
      lines.forEach((line, at) => rates.set(line.rate ?? 0, (rates.get(line.rate ?? 0) ?? 0) + amounts[at]));
      rates.forEach((amount, rate) => { tax += taxOn(amount, rate); });
    }
  }
  return { goods, tax, total: goods + tax };
}

/** `amount` as it can be paid in cash whose smallest coin is `coin`: to the nearest, halves up. */
export function inCoins(amount, coin) {
  const step = Math.max(coin || 1, 1);
  const rest = amount % step;
  if (rest === 0) return amount;
  return rest >= step - rest ? amount - rest + step : amount - rest;
}

/** Notes and coins in common use, in whole units of the currency. */
const NOTES = {
  EUR: [200, 100, 50, 20, 10, 5],
  USD: [100, 50, 20, 10, 5, 1],
  GBP: [50, 20, 10, 5],
  CHF: [200, 100, 50, 20, 10],
  JPY: [10000, 5000, 1000],
  SEK: [500, 200, 100, 50, 20],
  DKK: [1000, 500, 200, 100, 50],
  NOK: [1000, 500, 200, 100, 50],
  PLN: [500, 200, 100, 50, 20, 10],
  CZK: [2000, 1000, 500, 200, 100],
};
const COINS = {
  EUR: [200, 100, 50, 20, 10, 5, 2, 1],
  USD: [25, 10, 5, 1],
  GBP: [200, 100, 50, 20, 10, 5, 2, 1],
  CHF: [500, 200, 100, 50, 20, 10, 5],
  JPY: [500, 100, 50, 10, 5, 1],
  SEK: [1000, 500, 200, 100],
  DKK: [2000, 1000, 500, 200, 100, 50],
  NOK: [2000, 1000, 500, 100],
  PLN: [500, 200, 100, 50, 20, 10, 5, 2, 1],
  CZK: [5000, 2000, 1000, 500, 200, 100],
};

/** What a currency that is not listed has: 1, 2, 5, 10 … */
function series(from, most) {
  const all = [];
  for (let ten = from; ten <= most; ten *= 10) all.push(ten, 2 * ten, 5 * ten);
  return all.filter((value) => value <= most).reverse();
}

/** Notes of a currency, minor units, the largest first. `digits` is how many the minor unit has. */
export function notes(currency, digits) {
  const unit = 10 ** digits;
  return NOTES[currency]?.map((value) => value * unit) ?? series(5 * unit, 200 * unit);
}

/** Notes and coins, minor units, the largest first, none smaller than `coin`. */
export function cash(currency, digits, coin = 1) {
  const coins = COINS[currency] ?? series(1, 2 * 10 ** digits);
  return [...notes(currency, digits), ...coins].filter((value) => value >= coin);
}

/**
 * What a shopper is likely to hand over for `due`: each note that is enough alone, and the least that each makes up by several;
 * without `due` itself, going up, at most `most`.
 */
export function likely(due, currency, digits, most = 4) {
  if (due <= 0) return [];
  const all = notes(currency, digits);
  const amounts = new Set(all.map((note) => Math.ceil(due / note) * note));
  const largest = Math.max(...all);
  return [...amounts]
    .filter((amount) => amount > due && (amount <= largest || amount < due + largest))
    .sort((a, b) => a - b)
    .slice(0, most);
}

/** How to give `change`, by as few notes and coins as there can be: `[{value, count}]`, and `rest` that no coin makes up. */
export function give(change, currency, digits, coin = 1) {
  const pieces = [];
  let rest = change;
  for (const value of cash(currency, digits, coin)) {
    const count = Math.floor(rest / value);
    if (count > 0) pieces.push({ value, count });
    rest -= count * value;
  }
  return { pieces, rest };
}

/**
 * What a till took by its receipts, by tender: `{tender, sales, taken, back, waits}`. Taken is what was paid at once or since
 * authorised, in cash as rounded; `waits` what is not yet authorised.
 */
export function taken(receipts) {
  const by = new Map();
  const of = (tender) => {
    if (!by.has(tender)) by.set(tender, { tender, sales: 0, taken: 0, back: 0, waits: 0 });
    return by.get(tender);
  };
  for (const receipt of receipts) {
    for (const payment of receipt.payments ?? []) {
      const row = of(payment.tender);
      row.sales += 1;
      if (payment.state === 'approved' || payment.state === 'settled') row.taken += payment.amount + (payment.rounding ?? 0);
      else if (payment.state === 'deferred') row.waits += payment.amount;
    }
    for (const back of receipt.paid_back ?? []) {
      if (!back.cancelled) of(back.tender).back += back.amount + (back.rounding ?? 0);
    }
  }
  const order = ['cash', 'card', 'voucher', 'other'];
  return [...by.values()].sort((a, b) => order.indexOf(a.tender) - order.indexOf(b.tender));
}

/** Midnight of the day of `now`, Unix milliseconds. */
export const midnight = (now = Date.now()) => new Date(now).setHours(0, 0, 0, 0);

/** Most that may yet wait to be authorised here; `Infinity` where nothing limits it. */
export function mayWait(rules, device, waiting) {
  const own = rules?.deferred_limits?.find((one) => one.device === device)?.amount;
  const limit = own ?? rules?.deferred_limit;
  return limit === undefined || limit === null ? Infinity : Math.max(0, limit - (waiting ?? 0));
}
