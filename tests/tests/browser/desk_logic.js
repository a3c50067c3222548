// What the desk answers: every refusal has its words, in every language. Run in a page as a script that calls back
// (WebDriver's `execute/async`). Calls back with what is wrong, one line each; with an empty list if nothing is.
const done = arguments[arguments.length - 1];
(async () => {
  const { Problem } = await import('/frame/api.js');
  const { LANGUAGES, language, load } = await import('/frame/text.js');
  const { again, doorWords, found, handedOut, headline, refused } = await import('/pages/desk/answer.js');
  const { countOf } = await import('/pages/desk/goods.js');

  const CLAIM = '0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c:7';
  const NO = { claim: CLAIM, status: 409, detail: 'in the words of the node' };
  const TOKENS = ['not_a_token', 'damaged', 'version', 'other_event', 'issuer', 'retired', 'unpaid', 'paid', 'expired', 'not_yet', 'cannot_issue'];

  /** Refusals of a redemption: facts, tone, what is offered; and the claim, where that says more. */
  const REFUSALS = [
    [{ code: 'already_redeemed', at_ms: 1, by: 'ff', name: 'L2' }, 'bad', ''],
    [{ code: 'not_custodian', custodian: 'ff', name: 'desk-1', reachable: true }, 'wait', 'fetch'],
    [{ code: 'not_custodian', custodian: 'ff', name: 'desk-1', reachable: false }, 'wait', ''],
    [{ code: 'pin_needed' }, 'ask', 'pin'],
    [{ code: 'wrong_pin', left: 4 }, 'ask', 'pin'],
    [{ code: 'wrong_pin', left: 1 }, 'ask', 'pin'],
    [{ code: 'wrong_pin', left: 0 }, 'bad', 'unlock'],
    [{ code: 'pin_locked', unlock_in_ms: 0 }, 'bad', 'unlock'],
    [{ code: 'pin_locked', unlock_in_ms: 61_000 }, 'bad', 'unlock'],
    [{ code: 'pin_locked', unlock_in_ms: 1_800_000 }, 'bad', 'unlock'],
    [{ code: 'pin_locked' }, 'bad', 'unlock'],
    [{ code: 'ambiguous_claim', count: 2, claims: [], named: '7' }, 'wait', 'choose'],
    [{ code: 'no_such_claim', named: 'x' }, 'bad', ''],
    [{ code: 'unknown_claim' }, 'bad', ''],
    [{ code: 'already_refunded' }, 'bad', ''],
    ...['issued', 'refund_requested', 'refunded', 'returned', 'expired'].map((state) => [{ code: 'already_refunded' }, 'bad', '', { state, expires_ms: 1 }]),
    ...TOKENS.map((why) => [{ code: 'token', why, problem: 'the token' }, 'bad', '']),
    [{ code: 'wrong_scope', status: 403 }, 'bad', ''],
    [{ code: 'role_forbids', needs: 'pos', roles: 'encoder', action: 'x' }, 'bad', ''],
    ...['left', 'retired', 'suspended', 'certificate', 'past_unknown', 'not_stored'].map((code) => [{ code }, 'bad', '']),
    [{ code: 'clocks_disagree' }, 'wait', ''],
    [{ code: 'a_code_of_next_year', detail: NO.detail }, 'bad', ''],
  ];

  const DOOR = { compartments: ['02'], state: 'opening', handed_over: null, in_doubt: false, problem: null, looked: null };
  const DOORS = [
    [{}, 'wait'], [{ state: 'opened' }, 'good'], [{ state: 'stuck', problem: 'jammed', shut: ['02'] }, 'bad'], [{ in_doubt: true }, 'bad'],
    [{ state: 'settled', handed_over: true, looked: 'Ana' }, 'good'], [{ state: 'settled', handed_over: false, looked: 'Ana' }, 'bad'],
  ];

  /** A text that is a key, or has a hole in it, is none. */
  function badText(text) {
    if (typeof text !== 'string') return `no text: ${text}`;
    if (/^\w+(\.\w+)+$/.test(text) || /\{\w+\}|undefined|null|NaN/.test(text)) return `a hole: ${text}`;
    return null;
  }

  function refusal([facts, tone, offers, claim]) {
    const said = refused(new Problem(facts.status ?? NO.status, { ...NO, ...facts }), claim ?? null);
    if (said.tone !== tone) return `tone ${said.tone}, wanted ${tone}`;
    if (said.offers.join() !== offers) return `offers ${said.offers}, wanted ${offers}`;
    if ((said.reason === 'in the words of the node') !== (facts.code === 'a_code_of_next_year')) return `no words of its own: ${said.reason}`;
    if (!said.word || !said.reason) return `too few words: ${said.word} / ${said.reason}`;
    const kept = JSON.parse(JSON.stringify(said));
    if (again(kept).word !== said.word || kept.reason !== said.reason) return 'said otherwise once it was kept';
    return [said.word, said.reason, said.next].map(badText).find(Boolean) ?? null;
  }

  function door([more, tone]) {
    const said = doorWords({ ...DOOR, ...more });
    return said.tone === tone ? badText(said.text) : `tone ${said.tone}, wanted ${tone}`;
  }

  const item = { sku: 'CAP', units: '1-3,9', place: 'shop', compartment: null };
  const OTHERS = [
    ['a plain hand-out says nothing more', () => (handedOut({ at_ms: 1, claim: CLAIM, items: [item] }).reason === '' ? null : 'it does')],
    ['without a driver a person is told which compartment', () => {
      const said = handedOut({ at_ms: 1, claim: CLAIM, items: [{ ...item, compartment: '07' }] });
      return said.reason.includes('07') ? badText(said.reason) : said.reason;
    }],
    ['doors that open say it themselves', () => (handedOut({ at_ms: 1, claim: CLAIM, items: [{ ...item, compartment: '07' }], doors: ['07'] }).reason === '' ? null : 'twice')],
    ['an answer whose door did not open is green no more', () => {
      const said = handedOut({ at_ms: 1, claim: CLAIM, items: [item], doors: ['02'] });
      const tone = (more) => headline({ ...said, door: { ...DOOR, ...more } }).tone;
      const tones = [tone({}), tone({ state: 'opened' }), tone({ state: 'stuck' }), tone({ in_doubt: true }), tone({ handed_over: false }), tone({ state: 'stuck', handed_over: true })].join();
      return tones === 'good,good,wait,wait,bad,good' ? null : tones;
    }],
    ['what waits is asked about, what is over is not', () => {
      const of = (state) => found({ claim: CLAIM, code: '7K2-M9Q', state, items: [] }).offers.join();
      return `${of('issued')}|${of('redeemed')}` === 'sure|' ? null : of('redeemed');
    }],
    ['faults of tokens are told apart', () => {
      const said = TOKENS.map((why) => refused(new Problem(422, { ...NO, code: 'token', why })).reason);
      return new Set(said).size === TOKENS.length ? null : said.join(' | ');
    }],
    ['serials are counted', () => (countOf('1-3,9') === 4 && countOf('7') === 1 ? null : String(countOf('1-3,9')))],
    ['no network is no refusal by the node', () => badText(refused(new Error('x')).word)],
  ];

  /** Runs every case in every language, and goes back to the one that was shown. */
  async function run() {
    const before = language();
    const all = [];
    const test = (name, what) => {
      let problem;
      try {
        problem = what();
      } catch (error) {
        problem = String(error);
      }
      all.push({ name, problem });
    };
    for (const one of Object.keys(LANGUAGES)) {
      await load(one);
      REFUSALS.forEach((of) => test(`${one}: ${of[0].code} ${of[0].why ?? of[3]?.state ?? ''}`, () => refusal(of)));
      DOORS.forEach((of) => test(`${one}: door ${JSON.stringify(of[0])}`, () => door(of)));
      OTHERS.forEach(([name, what]) => test(`${one}: ${name}`, what));
    }
    await load(before);
    return all;
  }

  return (await run()).filter((one) => one.problem).map((one) => `${one.name}: ${one.problem}`);
})().then(done, (error) => done([String(error?.stack ?? error)]));
