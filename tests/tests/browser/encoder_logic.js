// What the encoder is told of stock: bounds are called bounds. Run in a page as a script that calls back (WebDriver's
// `execute/async`). Calls back with what is wrong, one line each; with an empty list if nothing is.
const done = arguments[arguments.length - 1];
(async () => {
  const { LANGUAGES, language, load } = await import('/frame/text.js');
  const { asOf, away, claimed, isExact, left, where } = await import('/pages/encoder/stock.js');

  const counts = (more = {}) => ({ announced: 100, claimed: 62, back: 0, left: 38, here: 12, elsewhere: 26, cut_off: 0, frozen: 0, voided: 0, sold_out: false, ...more });
  const NOW = { now_ms: 60_000, as_of_ms: 60_000, not_heard: 0 };

  /** What must be in a text and what must not, in each language. */
  const CASES = [
    ['all heard', () => [isExact(NOW), left(counts(), true), claimed(counts(), true)].join(), { en: ['true', '38 left', '62 of 100'], de: ['noch 38', '62 von 100'], not: ['at most', 'höchstens', '+'] }],
    ['somebody not heard', () => `${left(counts({ cut_off: 5 }), false)} ${claimed(counts(), false)}`, { en: ['at most 38 left', '62+ of 100'], de: ['höchstens noch 38', '62+ von 100'], not: [] }],
    ['all of it claimed', () => claimed(counts({ claimed: 100 }), false), { en: ['100 of 100'], de: ['100 von 100'], not: ['+'] }],
    ['more than was announced', () => claimed(counts({ claimed: 101 }), false), { en: ['101+ of 100'], de: ['101+ von 100'], not: [] }],
    ['exact, but some of it out of reach', () => left(counts({ cut_off: 5 }), true), { en: ['at most'], de: ['höchstens'], not: [] }],
    ['heard by all, but old', () => String(isExact({ ...NOW, as_of_ms: 1 })), { en: ['false'], de: ['false'], not: [] }],
    ['never heard', () => asOf({ now_ms: 1, as_of_ms: null }), { en: ['never'], de: ['nie'], not: ['null'] }],
    ['as of now', () => asOf(NOW), { en: ['now'], de: ['jetzt'], not: [] }],
    ['sold out', () => left(counts({ left: 0, sold_out: true }), false), { en: ['sold out'], de: ['ausverkauft'], not: ['0'] }],
    ['none free', () => left(counts({ left: 0 }), true), { en: ['none free'], de: ['keine frei'], not: ['sold out', 'ausverkauft'] }],
    ['where it lies', () => where(counts({ cut_off: 5, frozen: 1 })), { en: ['12 here', '26 on others', 'up to 5', '1 not for sale'], de: ['12 hier', '26 auf anderen', 'bis zu 5', '1 nicht im Verkauf'], not: [] }],
    ['nowhere', () => `x${where(counts({ here: 0, elsewhere: 0 }))}x`, { en: ['xx'], de: ['xx'], not: [] }],
    ['out of reach', () => away({ name: 'till-2', units: 5, last_heard_ms: 1 }), { en: ['up to 5', 'not heard since'], de: ['bis zu 5', 'nicht gehört seit'], not: [] }],
    ['never heard of, holds nothing', () => away({ name: 'till-2', units: 0, last_heard_ms: null }), { en: ['none known', 'never'], de: ['keine bekannt', 'nie'], not: ['0', 'null'] }],
  ];

  /** Runs every case in every language, and goes back to the one that was shown. */
  async function run() {
    const before = language();
    const all = [];
    for (const one of Object.keys(LANGUAGES)) {
      await load(one);
      for (const [name, what, wanted] of CASES) {
        const said = what();
        const lacks = (wanted[one] ?? []).filter((text) => !said.includes(text));
        const has = [...wanted.not, '{', 'encoder.'].filter((text) => said.includes(text));
        all.push({ name: `${one}: ${name}`, problem: lacks.length || has.length ? `${JSON.stringify(said)} lacks ${lacks}, has ${has}` : null });
      }
    }
    await load(before);
    return all;
  }

  return (await run()).filter((one) => one.problem).map((one) => `${one.name}: ${one.problem}`);
})().then(done, (error) => done([String(error?.stack ?? error)]));
