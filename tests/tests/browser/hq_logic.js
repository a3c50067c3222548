// What the HQ page reckons, by itself: run in a page as a script that calls back (WebDriver's `execute/async`). Calls back with
// what is wrong, one line each; with an empty list if nothing is.
const done = arguments[arguments.length - 1];
(async () => {
  const [order, map, device, sums, lot, drop, give, form, admit, product, stock] = await Promise.all(
    ['order', 'layout', 'device-words', 'sums', 'lot', 'drop', 'give', 'form', 'admit', 'product', 'stock'].map((name) => import(`/pages/hq/${name}.js`)));
  const wrong = [];
  const same = (what, got, wanted) => {
    if (JSON.stringify(got) !== JSON.stringify(wanted)) wrong.push(`${what}: ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
  };
  const refused = (what, call, field) => {
    try {
      call();
      wrong.push(`${what}: was taken`);
    } catch (error) {
      if (error.facts?.field !== field) wrong.push(`${what}: ${error.message}, field ${error.facts?.field}, not ${field}`);
    }
  };

  // Nothing that is shown moves: what comes is put at the end, what goes leaves its place.
  const kept = [];
  same('at first in their own order', order.steady(kept, ['c', 'a', 'b'], (one) => one), ['c', 'a', 'b']);
  same('the new one comes last', order.steady(kept, ['x', 'a', 'c', 'b'], (one) => one), ['c', 'a', 'b', 'x']);
  same('what is gone is left out', order.steady(kept, ['b', 'x', 'c'], (one) => one), ['c', 'b', 'x']);
  same('nothing', order.steady(kept, [], (one) => one), []);
  same('names as people sort them', ['till-10', 'till-2', 'Desk', 'desk-2'].sort(order.byName), ['Desk', 'desk-2', 'till-2', 'till-10']);

  // The picture: from venue and name alone, whatever order the devices come in and however they stand.
  const nodes = (count, venues) => Array.from({ length: count }, (_, index) => ({ device: `d${index}`, name: `till-${index}`, venue: `hall-${index % venues}` }));
  for (const [count, venues, width] of [[1, 1, 310], [2, 1, 310], [3, 1, 310], [5, 2, 310], [12, 1, 700], [13, 1, 700], [40, 3, 1160], [200, 4, 1160], [200, 4, 310], [9, 9, 700]]) {
    const all = nodes(count, venues);
    const name = `${count} devices at ${venues} venues on ${width}`;
    const one = map.layout(all, width);
    const two = map.layout([...all].reverse().map((node) => ({ ...node, reachable: false, roles: ['pos'] })), width);
    same(`${name}: the same places`, [...one.at].sort(), [...two.at].sort());
    same(`${name}: all are there`, one.at.size, count);
    const at = [...one.at];
    for (const [id, { x, y }] of at) {
      const node = all.find((each) => each.device === id);
      const box = one.venues.find((venue) => venue.venue === node.venue);
      if (x - 28 < box.x || x + 28 > box.x + box.width || y - 34 < box.y || y + 64 > box.y + box.height) wrong.push(`${name}: ${id} at ${x},${y} is not inside of ${JSON.stringify(box)}`);
      if (box.x < 0 || box.x + box.width > width + 1) wrong.push(`${name}: ${box.venue} is wider than the picture`);
    }
    at.forEach(([id, a], index) => at.slice(index + 1).forEach(([other, b]) => {
      if (Math.abs(a.x - b.x) < 80 && Math.abs(a.y - b.y) < 90) wrong.push(`${name}: ${id} and ${other} lie on each other`);
    }));
    one.venues.forEach((a, index) => one.venues.slice(index + 1).forEach((b) => {
      if (a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height) wrong.push(`${name}: ${a.venue} and ${b.venue} overlap`);
    }));
  }

  // How a device stands: what is final first.
  const heard = { reachable: true, linked: true, last_heard_ms: 5 };
  same('states', [
    { ...heard, here: true }, heard, { ...heard, linked: false }, { ...heard, reachable: false }, { reachable: false }, { ...heard, suspended: true },
    { ...heard, left_to: 'hq', suspended: true }, { ...heard, retired_by: 'hq', left_to: 'hq', here: true }, { here: true, suspended: true },
  ].map(device.stateOf), ['here', 'linked', 'heard', 'silent', 'unheard', 'suspended', 'left', 'retired', 'here']);
  same('certificates', [100, 101, 100 + 2 * 86_400_000, 99].map((until) => device.certificateState(until, 100)), ['over', 'soon', 'good', 'over']);
  same('neighbours', device.neighbours('a', [{ a: 'a', b: 'b' }, { a: 'b', b: 'c' }, { a: '0', b: 'a' }], new Map([['b', 'till-2'], ['0', 'hq']])).map((one) => one.name), ['hq', 'till-2']);
  same('a word grows old', [device.isOld({ as_of_ms: 0 }, 60_000), device.isOld({ as_of_ms: 0 }, 60_001), device.isOld({}, 1e12)], [false, true, false]);

  // Money: sums of all devices are those of each.
  const line = (tender, taken, back) => ({ tender, payments: 1, taken, paid_back: back, net: taken - back, deferred: 0, failed: 0, rounding: 0, cancelled: 0 });
  const takings = [
    { device: 'a', name: 'till-1', sales: 2, sold: 300, refunds: 1, refunded: 50, taxes: [{ rate: 1900, net: 100, tax: 19 }], tenders: [line('card', 100, 0), line('cash', 200, 50)] },
    { device: 'b', name: 'till-2', sales: 1, sold: 40, refunds: 0, refunded: 0, taxes: [{ rate: 700, net: 10, tax: 1 }, { rate: 1900, net: 5, tax: 1 }], tenders: [line('cash', 40, 0), { ...line('other', 0, 0), payments: 0 }] },
  ];
  const sum = sums.sums(takings);
  same('by tender', sum.tenders.map((one) => [one.tender, one.taken, one.net]), [['cash', 240, 190], ['card', 100, 100], ['other', 0, 0]]);
  same('all together', [sum.total.net, sum.sales, sum.sold, sum.refunded], [290, 3, 340, 50]);
  same('taxes', sum.taxes, [{ rate: 700, net: 10, tax: 1 }, { rate: 1900, net: 105, tax: 20 }]);
  same('who took nothing by a tender has no row of it', sums.rowsOf(takings).map((row) => `${row.name} ${row.tender}`), ['till-1 card', 'till-1 cash', 'till-2 cash']);
  same('of nobody', [sums.sums([]).total.net, sums.sums([]).tenders.length], [0, 0]);
  same('rates', ['19', '19 %', '7,5', '7.25', '100', '100.01', '-1', '', '1900', 'x'].map(sums.points), [1900, 1900, 750, 725, 10000, null, null, null, null, null]);
  same('amounts as typed', [sums.typed(2500, 2), sums.typed(5, 2), sums.typed(0, 2), sums.typed(1200, 0), sums.typed(1234, 3)], ['25.00', '0.05', '0.00', '1200', '1.234']);

  // Lots: the next free serial of the SKU and its edition, over all drops.
  const lots = [{ sku: 'TEE', units: '1-5,9' }, { sku: 'TEE', units: '20-30', edition: 'gold' }, { sku: 'CAP', units: '7' }];
  same('next free', [lot.nextFree(lots, 'TEE'), lot.nextFree(lots, 'TEE', 'gold'), lot.nextFree(lots, 'CAP'), lot.nextFree(lots, 'MUG'), lot.nextFree([], undefined)], [10, 31, 8, 1, 1]);
  const minted = { drop: 'neon', sku: 'TEE', first: '11', count: '90', edition: ' ', place: '' };
  same('a lot', lot.bodyOf({ ...minted, numbered: 'on' }), { drop: 'neon', sku: 'TEE', first: 11, last: 100, numbered: true });
  refused('no units', () => lot.bodyOf({ ...minted, count: '0' }), 'count');
  refused('half a unit', () => lot.bodyOf({ ...minted, count: '1.5' }), 'count');
  refused('beyond the last serial', () => lot.bodyOf({ ...minted, first: '4294967295', count: '2' }), 'count');
  refused('no first', () => lot.bodyOf({ ...minted, first: '' }), 'first');

  // Drops.
  const plan = { drop: 'neon', title: 'Neon', pickup: '', ends: '', unclaimed: 'refund' };
  same('a plan', drop.planOf(plan), { drop: 'neon', title: 'Neon' });
  same('with a time to pick up', drop.planOf({ ...plan, pickup: '24' }), { drop: 'neon', title: 'Neon', pickup_within_ms: 86_400_000, unclaimed: 'refund' });
  same('with an end', drop.planOf({ ...plan, ends: '2026-12-01T21:30' }).ends_ms, new Date(2026, 11, 1, 21, 30).getTime());
  refused('no name', () => drop.planOf({ ...plan, drop: ' ' }), 'drop');
  refused('no time', () => drop.planOf({ ...plan, ends: 'tonight' }), 'ends');
  refused('no hours', () => drop.planOf({ ...plan, pickup: '-1' }), 'pickup');
  same('each state has steps, and what closed begins anew', [Object.keys(drop.STEPS), drop.STEPS.closed.every((step) => step.again)], [['planned', 'announced', 'open', 'last_call', 'closed'], true]);

  // Units by hand.
  same('so many', give.units({ count: '5', serials: '' }), { count: 5 });
  same('exactly these', give.units({ count: '', serials: ' 1-5, 9 ' }), { serials: '1-5,9' });
  refused('none', () => give.units({ count: '0', serials: ' ' }), 'count');
  refused('no number', () => form.whole('5 units', 'count'), 'count');
  same('what there is besides', stock.besides({ held: 1, in_transit: 0, stranded: 2, committed: 0, damaged: 3, sold: 0 }).map(([kind]) => kind), ['held', 'stranded', 'damaged']);
  same('holders by name', stock.holdersOf({ holders: [{ name: 'till-10', units: 1 }, { name: 'till-2', units: 1 }, { name: 'a', units: 0 }] }).map((one) => one.name), ['till-2', 'till-10']);

  // Admitting: by a code one device and all roles, by a ticket several.
  const device1 = { role_pos: 'on', role_hq: 'on', venue: ' hall ', days: '7', code: '417-7K2-M9Q', name: ' ', at: '' };
  same('by its code', admit.wanted(device1, 'code'), { roles: ['pos', 'hq'], venue: 'hall', days: 7, code: '417-7K2-M9Q' });
  same('by a ticket', admit.wanted({ role_locker: 'on', venue: 'hall', days: '1', count: '3', prefix: 'box-', minutes: '10' }, 'ticket'), { roles: ['locker'], venue: 'hall', days: 1, count: 3, prefix: 'box-', open_ms: 600_000 });
  refused('for nothing', () => admit.wanted({ ...device1, role_pos: undefined, role_hq: undefined }, 'code'), 'role_pos');
  refused('without a code', () => admit.wanted({ ...device1, code: '' }, 'code'), 'code');
  refused('too many', () => admit.wanted({ ...device1, count: '201', minutes: '10' }, 'ticket'), 'count');

  // Products: what stays as it was is left out.
  const was = { sku: 'TEE', name: 'Tee', price: 2500, tax: 1900, category: 'Shirts' };
  const typed = { name: 'Tee', price: '25.00', tax: '19', category: 'Shirts' };
  same('as it was', product.bodyOf(typed, was, undefined), { sku: 'TEE', name: 'Tee', price: 2500 });
  same('another rate, no category, a picture', product.bodyOf({ ...typed, tax: '7', category: ' ' }, was, 'AAAA'), { sku: 'TEE', name: 'Tee', price: 2500, tax: 700, category: '', picture: 'AAAA' });
  same('a new one', product.bodyOf({ ...typed, sku: 'TEE-M', tax: '' }, null, undefined), { sku: 'TEE-M', name: 'Tee', price: 2500, category: 'Shirts' });
  refused('for nothing', () => product.bodyOf({ ...typed, price: '0' }, was), 'price');
  refused('for no amount', () => product.bodyOf({ ...typed, price: '12.345' }, was), 'price');
  refused('a rate of 1900', () => product.bodyOf({ ...typed, tax: '1900' }, was), 'tax');
  refused('without a name', () => product.bodyOf({ ...typed, name: '' }, was), 'name');
  done(wrong);
})().catch((error) => done([`${error}\n${error.stack}`]));
