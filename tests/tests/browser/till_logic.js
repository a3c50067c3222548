// What the till reckons, by itself: run in a page as a script that calls back (WebDriver's `execute/async`). Calls back with
// what is wrong, one line each; with an empty list if nothing is.
const done = arguments[arguments.length - 1];
(async () => {
  const [reckon, stock, basket, refusals] = await Promise.all(
    ['reckon', 'stock', 'basket', 'refusals'].map((name) => import(`/pages/till/${name}.js`)));
  const wrong = [];
  const same = (what, got, wanted) => {
    if (JSON.stringify(got) !== JSON.stringify(wanted)) wrong.push(`${what}: ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
  };

  // Sums: tax on top, once for each rate or on each line, halves away from zero; none where prices include it.
  const lines = [{ price: 333, quantity: 1, rate: 1900 }, { price: 334, quantity: 2, rate: 1900 }, { price: 1000, quantity: 1, rate: 700 }];
  same('prices include tax', reckon.sum(lines, { prices: 'included', round: 'receipt' }), { goods: 2001, tax: 0, total: 2001 });
  same('tax by receipt', reckon.sum(lines, { prices: 'excluded', round: 'receipt' }), { goods: 2001, tax: 260, total: 2261 });
  same('tax by line', reckon.sum(lines, { prices: 'excluded', round: 'line' }), { goods: 2001, tax: 260, total: 2261 });
  same('a half is rounded away from zero', reckon.sum([{ price: 50, quantity: 1, rate: 100 }], { prices: 'excluded', round: 'receipt' }).tax, 1);
  same('by line and by receipt differ', [
    reckon.sum([{ price: 50, quantity: 1, rate: 100 }, { price: 50, quantity: 1, rate: 100 }], { prices: 'excluded', round: 'line' }).tax,
    reckon.sum([{ price: 50, quantity: 1, rate: 100 }, { price: 50, quantity: 1, rate: 100 }], { prices: 'excluded', round: 'receipt' }).tax,
  ], [2, 1]);
  same('no rules yet', reckon.sum([{ price: 100, quantity: 3 }]), { goods: 300, tax: 0, total: 300 });
  same('beyond what a double multiplies exactly', reckon.sum([{ price: 9007199254740, quantity: 1, rate: 1900 }], { prices: 'excluded', round: 'receipt' }).tax, 1711367858401);

  // Cash has no smaller coin than the event's.
  same('in coins', [1002, 1003, 1007, 1008, 1005, 0].map((amount) => reckon.inCoins(amount, 5)), [1000, 1005, 1005, 1010, 1005, 0]);
  same('a half goes up', reckon.inCoins(1050, 100), 1100);
  same('without a coin', [reckon.inCoins(1234, 1), reckon.inCoins(1234, 0), reckon.inCoins(1234, undefined)], [1234, 1234, 1234]);

  // What a shopper is likely to hand over.
  same('likely for 25 euros', reckon.likely(2500, 'EUR', 2), [3000, 4000, 5000, 10000]);
  same('likely for 20 euros', reckon.likely(2000, 'EUR', 2), [5000, 10000, 20000]);
  same('likely for 6.50', reckon.likely(650, 'EUR', 2), [1000, 2000, 5000, 10000]);
  same('likely above the largest note', reckon.likely(45000, 'EUR', 2), [46000, 50000, 60000]);
  same('likely for nothing', reckon.likely(0, 'EUR', 2), []);
  same('likely in yen', reckon.likely(3500, 'JPY', 0), [4000, 5000, 10000]);
  same('likely in a currency without a list', reckon.likely(1200, 'XTS', 2).every((one) => one > 1200), true);
  for (let due = 1; due < 30000; due += 97) {
    const all = reckon.likely(due, 'EUR', 2);
    if (all.some((one) => one <= due) || new Set(all).size !== all.length) wrong.push(`likely for ${due}: ${all}`);
  }

  // Change by notes and coins: it always comes to the change.
  same('change of 5.50', reckon.give(550, 'EUR', 2), { pieces: [{ value: 500, count: 1 }, { value: 50, count: 1 }], rest: 0 });
  same('change of 0', reckon.give(0, 'EUR', 2), { pieces: [], rest: 0 });
  same('change in coins of 0.05', reckon.give(1015, 'EUR', 2, 5), { pieces: [{ value: 1000, count: 1 }, { value: 10, count: 1 }, { value: 5, count: 1 }], rest: 0 });
  same('what no coin makes up', reckon.give(13, 'CHF', 2, 5).rest, 3);
  for (const currency of ['EUR', 'USD', 'GBP', 'JPY', 'XTS']) {
    const digits = currency === 'JPY' ? 0 : 2;
    for (let change = 1; change < 20000; change += 113) {
      const { pieces, rest } = reckon.give(change, currency, digits);
      const all = pieces.reduce((sum, one) => sum + one.value * one.count, 0);
      if (all + rest !== change || rest !== 0) wrong.push(`change of ${change} ${currency}: ${all} and ${rest}`);
    }
  }

  // What was taken, by receipts.
  same('taken', reckon.taken([
    { kind: 'sale', payments: [{ tender: 'card', amount: 3000, state: 'approved' }, { tender: 'cash', amount: 2002, rounding: -2, state: 'approved' }] },
    { kind: 'sale', payments: [{ tender: 'card', amount: 500, state: 'deferred' }] },
    { kind: 'sale', payments: [{ tender: 'card', amount: 700, state: 'failed' }] },
    { kind: 'refund', paid_back: [{ tender: 'cash', amount: 1001, rounding: -1 }, { tender: 'card', amount: 500, cancelled: true }] },
  ]), [{ tender: 'cash', sales: 1, taken: 2000, back: 1000, waits: 0 }, { tender: 'card', sales: 3, taken: 3000, back: 0, waits: 500 }]);
  same('what may wait', [
    reckon.mayWait({}, 'a', 0), reckon.mayWait({ deferred_limit: 1000 }, 'a', 300), reckon.mayWait({ deferred_limit: 1000 }, 'a', 1300),
    reckon.mayWait({ deferred_limit: 1000, deferred_limits: [{ device: 'a', amount: 0 }] }, 'a', 0),
  ].map(String), ['Infinity', '700', '0', '0']);

  // How a product stands.
  const open = { drop: 'night', state: 'open' };
  const line = (more) => ({ sku: 'CAP', drop: 'night', minted: 10, own: { available: 0, held: 0 }, mesh: { held: 0 }, places: [], holders: [], ...more });
  const other = { device: 'b', name: 'till-2', units: 5, reachable: true, last_heard_ms: 7 };
  const stand = (more, drop = open) => stock.standing(line(more), drop, 'a', 'hall').state;
  same('standings', [
    stand({ own: { available: 2, held: 0 }, places: [{ place: 'hall', units: 2 }], holders: [other] }),
    stand({ holders: [other] }),
    stand({ holders: [{ ...other, reachable: false }] }),
    stand({ own: { available: 2, held: 0 }, places: [{ place: 'store', units: 2 }] }),
    stand({ own: { available: 0, held: 1 } }),
    stand({ mesh: { held: 1 } }),
    stand({}),
    stock.standing(undefined, open, 'a', 'hall').state,
    stand({ minted: 0 }),
    stand({ own: { available: 2, held: 0 }, places: [{ place: 'hall', units: 2 }] }, { drop: 'night', state: 'closed' }),
    stand({ own: { available: 2, held: 0 }, places: [{ place: 'hall', units: 2 }] }, { drop: 'night', state: 'last_call' }),
  ], ['ready', 'ask', 'apart', 'away', 'aside', 'aside', 'sold_out', 'none', 'none', 'shut', 'ready']);
  same('this device is none of the others', stock.standing(line({ holders: [{ ...other, device: 'a' }] }), open, 'a', 'hall').others, []);
  same('as old as the oldest', stock.standing(line({ holders: [other, { ...other, device: 'c', name: 'till-3', last_heard_ms: 3 }] }), open, 'a', 'hall').heard, 3);
  same('never heard', stock.standing(line({ holders: [{ ...other, last_heard_ms: null }] }), open, 'a', 'hall').heard, null);
  const wares = [{ sku: 'B', name: 'Tee 10' }, { sku: 'A', name: 'Tee 9' }, { sku: 'C', name: 'Cap', category: 'Hats' }];
  same('order', stock.byCategory(wares).map((group) => [group.name, group.products.map((one) => one.sku)]), [['Hats', ['C']], ['', ['A', 'B']]]);
  same('order does not hang on what came first', stock.byCategory([...wares].reverse()), stock.byCategory(wares));
  same('matching', [stock.matching(wares, 'tee 9'), stock.matching(wares, 'HATS'), stock.matching(wares, '')].map((found) => found.length), [1, 1, 3]);
  same('by SKU', [stock.bySku(wares, ' b ')?.name, stock.bySku(wares, 'D')], ['Tee 10', null]);
  same('initials', ['Red cap', 'Mug', 'Tote bag “Night market”', '–'].map(stock.initials), ['RC', 'MU', 'TM', '?']);
  same('the drop to begin with', [
    stock.firstDrop([{ drop: 'b', state: 'closed' }, { drop: 'c', state: 'last_call' }, { drop: 'a', state: 'planned' }]),
    stock.firstDrop([{ drop: 'b', state: 'closed' }, { drop: 'a', state: 'planned' }]), stock.firstDrop([]),
  ], ['c', 'a', null]);

  // The basket.
  let now = basket.change(basket.empty(), 'A', 2, 'night');
  now = basket.change(now, 'B', 1);
  same('put in', [now.lines, now.drop, basket.units(now)], [[{ sku: 'A', quantity: 2 }, { sku: 'B', quantity: 1 }], 'night', 3]);
  same('an order that stays', basket.change(now, 'A', 1).lines.map((one) => one.sku), ['A', 'B']);
  now = basket.change(basket.change(now, 'A', -5), 'B', -1);
  same('taken out', [now.lines, now.drop], [[], null]);
  same('serials', [basket.countOf('1-5,9'), basket.serialsOf('1-3,9'), basket.setOf([9, 1, 3, 2, 4294967295])], [6, [1, 2, 3, 9], '1-3,9,4294967295']);
  same('lines of lots', basket.linesOf([
    { sku: 'A', unit_price: 5, units: '1-2' }, { sku: 'A', unit_price: 5, units: '9' }, { sku: 'A', unit_price: 6, units: '3' },
  ]).map((one) => [one.sku, one.price, one.quantity]), [['A', 5, 3], ['A', 6, 1]]);

  same('references', [' order 7 ', 'Ana/Ö#3', '', 'x'.repeat(50)].map(basket.reference), ['order-7', 'AnaÖ3', '', 'x'.repeat(40)]);

  // The next best step.
  const steps = (code, facts = {}, more = {}) => refusals.steps({ code, facts }, { lines: [{ sku: 'A', quantity: 2 }], ...more }).map((one) => one.step);
  same('steps', [
    steps('sold_out', { sku: 'A' }), steps('held_elsewhere', { sku: 'A', held: 1, holders: [other] }),
    steps('held_elsewhere', { sku: 'A', held: 0, holders: [other] }, { helps: true }),
    steps('held_elsewhere', { sku: 'A', held: 0, holders: [] }),
    steps('payments_differ', { total: 5 }), steps('deferred_limit'), steps('unknown_cart'), steps('wrong_scope'), steps('drop_not_open', { state: 'closed' }), steps('drop_not_open', { state: 'planned' }), steps('never_heard_of'),
  ], [
    ['take_out', 'others'], ['less', 'send', 'again', 'take_out'], ['again', 'send', 'take_out'], ['again', 'take_out'],
    ['new_price'], ['pay', 'waiting'], ['sell_anew'], [], ['clear', 'again'], ['again'], ['again'],
  ]);
  return wrong;
})().then(done, (error) => done([String(error?.stack ?? error)]));
