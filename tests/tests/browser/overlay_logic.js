// What the overlay says of boards. Run in a page as a script that calls back (WebDriver's `execute/async`). Calls back with what is
// wrong, one line each; with an empty list if nothing is.
const done = arguments[arguments.length - 1];
(async () => {
  const { clock, words } = await import('/overlay/words.js');
  const { read, write } = await import('/overlay/look.js');

  const TEXTS = {
    claimed: '{n} claimed', or_more: '{n}+', percent: '{percent} %', percent_or_more: '{percent}+ %', announced: '{n} pieces',
    left: '{n} left', at_most: 'at most {n} left', none_free: 'none free now', as_of: 'as of {time}', some_not_heard: 'not all heard',
    sold_out: 'Sold out', opens_soon: 'Opens soon', last_call: 'Last call', closed: 'Closed', ends_in: 'Ends in {time}', ended: 'Ended',
    back: '{n} back', voided: '{n} no longer counted',
  };
  const say = {
    t: (key, values = {}) => TEXTS[key.replace('overlay.', '')].replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole),
    number: String,
    time: (ms) => `T${ms / 1000}`,
  };

  const counts = (more = {}) => ({
    announced: 100, claimed: 62, claimed_percent: 62, back: 0, left: 38, here: 12, elsewhere: 26, cut_off: 0, frozen: 0, voided: 0, sold_out: false, ...more,
  });
  const board = (more = {}, total = {}) => ({
    drop: 'night', title: 'Night', state: 'open', round: 0, now_ms: 60_000, as_of_ms: 60_000, age_ms: 0, counted_from: 'announced',
    total: counts(total), skus: [], cut_off: [], not_heard: 0, devices: 4, voided: [], ...more,
  });
  const cutOff = { as_of_ms: 30_000, age_ms: 30_000, not_heard: 1, cut_off: [{ name: 'till-2', units: 5 }] };
  const everything = ['title', 'state', 'claimed', 'percent', 'left', 'back', 'countdown', 'skus'];

  /** All that is shown, in a row. */
  function shown(of, options = {}) {
    const said = words(of, { say, ...options });
    if (!said) return null;
    const text = (part) => (Array.isArray(part) ? part.join('') : part);
    const left = said.left ? [text(said.left.text), said.left.note] : [];
    return [said.badge?.text, text(said.announced), text(said.claimed), said.percent, ...left, said.back, said.voided, said.countdown, said.note,
      ...said.skus.flatMap((sku) => [sku.name, text(sku.claimed), sku.left && text(sku.left.text)])].filter(Boolean).join(' | ');
  }

  const CASES = [
    ['all heard: exact', () => shown(board()), '62 claimed | 38 left'],
    ['somebody not heard: bounds, with their age', () => shown(board(cutOff, { cut_off: 5 })), '62+ claimed | at most 38 left | as of T30'],
    ['heard, but not compared yet: bounds', () => shown(board({ as_of_ms: 59_000, age_ms: 1000 })), '62+ claimed | at most 38 left | as of T59'],
    ['somebody was never heard', () => shown(board({ as_of_ms: undefined, age_ms: undefined, not_heard: 1 })), '62+ claimed | at most 38 left | not all heard'],
    ['absent as null', () => shown(board({ as_of_ms: null, age_ms: null, not_heard: 1 })), '62+ claimed | at most 38 left | not all heard'],
    ['out of reach, holds nothing', () => shown(board(cutOff)), '62+ claimed | at most 38 left | as of T30'],
    ['no answer for long: nothing is exact', () => shown(board(), { silentMs: 5000 }), '62+ claimed | at most 38 left | as of T60'],
    ['no answer for a moment: as it was', () => shown(board(), { silentMs: 4999 }), '62 claimed | 38 left'],
    ['units that came back', () => shown(board({}, { back: 2, left: 40 })), '62 claimed | 40 left | 2 back'],
    ['sold out, exact', () => shown(board({}, { left: 0, sold_out: true })), 'Sold out | 62 claimed'],
    ['sold out, when its node is gone: with its age', () => shown(board({}, { left: 0, sold_out: true }), { silentMs: 9000 }), 'Sold out | 62+ claimed | as of T60'],
    ['sold out, as somebody out of reach knew it', () => shown(board(cutOff, { left: 0, sold_out: true })), 'Sold out | 62+ claimed | as of T30'],
    ['sold out without a badge', () => shown(board({}, { left: 0, sold_out: true }), { show: ['left'] }), 'Sold out'],
    ['none free, not sold out', () => shown(board({}, { left: 0 })), '62 claimed | none free now'],
    ['last call', () => shown(board({ state: 'last_call' })), 'Last call | 62 claimed | 38 left'],
    ['last call, sold out: sold out is what counts', () => shown(board({ state: 'last_call' }, { left: 0, sold_out: true })), 'Sold out | 62 claimed'],
    ['closed: what is left is no matter any more', () => shown(board({ state: 'closed', ends_ms: 1, ends_in_ms: 0 }, { back: 2 })), 'Closed | 62 claimed'],
    ['announced', () => shown(board({ state: 'announced' }, { claimed: 0 })), 'Opens soon | 100 pieces'],
    ['planned: nobody said anything yet', () => shown(board({ state: 'planned' })), null],
    ['countdown', () => shown(board({ ends_ms: 120_000, ends_in_ms: 60_000 }), { show: ['countdown'] }), 'Ends in 1:00'],
    ['countdown goes on without its node', () => shown(board({ ends_ms: 120_000, ends_in_ms: 60_000 }), { show: ['countdown'], silentMs: 58_500 }), 'Ends in 0:02 | as of T60'],
    ['the end comes without its node', () => shown(board({ ends_ms: 120_000, ends_in_ms: 60_000 }), { show: ['countdown'], silentMs: 60_000 }), 'Ended | as of T60'],
    ['per cent', () => shown(board(cutOff), { show: ['percent'] }), '62+ %'],
    ['per cent of nothing', () => shown(board({}, { claimed_percent: undefined }), { show: ['percent'] }), ''],
    ['why claimed moved back', () => shown(board({}, { voided: 6, claimed: 56 })), '56 claimed | 38 left | 6 no longer counted'],
    ['by product', () => shown(board({ skus: [{ sku: 'CAP', name: 'Cap', ...counts({ claimed: 2, left: 1 }) }, { sku: 'TEE', ...counts({ left: 0, sold_out: true }) }] }), { show: ['skus'] }),
      'Cap | 2 claimed | 1 left | TEE | 62 claimed | Sold out'],
    ['by product, somebody not heard: the age stands once', () => shown(board({ ...cutOff, skus: [{ sku: 'CAP', ...counts({ left: 1, cut_off: 1 }) }] }), { show: ['skus'] }), 'as of T30 | CAP | 62+ claimed | at most 1 left'],
    ['closed, and its node gone', () => shown(board({ state: 'closed' }), { silentMs: 9000 }), 'Closed | 62+ claimed | as of T60'],
    ['everything', () => shown(board({ ends_ms: 1, ends_in_ms: 3_600_000 }, { back: 1 }), { show: everything }), '62 claimed | 62 % | 38 left | 1 back | Ends in 1:00:00'],
    ['clock', () => [0, 1, 999, 1000, 59_001, 3_599_999, 36_061_000].map(clock).join(' '), '0:00 0:01 0:01 0:01 1:00 1:00:00 10:01:01'],
    ['an address says what it was made of', () => {
      const made = write({ drop: 'night', lang: 'de', show: ['left', 'skus'], look: [['ink', '#123456'], ['evil', 'x']], logo: '/v1/products/CAP/picture' });
      const is = read(new URLSearchParams(made));
      return [is.drop, is.lang, is.show.join(), JSON.stringify(is.look), is.logo].join(' ');
    }, 'night de left,skus [["--overlay-ink","#123456"]] /v1/products/CAP/picture'],
    ['no picture of elsewhere', () => ['//evil.example/x.png', 'https://evil.example/x.png', 'x.png', 'javascript:1', 'data:text/html,x'].map((logo) => read(new URLSearchParams({ logo })).logo).join(), ',,,,'],
    ['what is not known is left out', () => read(new URLSearchParams('show=left,evil')).show.join(), 'left'],
  ];

  /** Runs every case. */
  function run() {
    return CASES.map(([name, what, wanted]) => {
      try {
        const is = what();
        return { name, problem: is === wanted ? null : `said ${JSON.stringify(is)}, wanted ${JSON.stringify(wanted)}` };
      } catch (error) {
        return { name, problem: String(error) };
      }
    });
  }

  return (await run()).filter((one) => one.problem).map((one) => `${one.name}: ${one.problem}`);
})().then(done, (error) => done([String(error?.stack ?? error)]));
