/**
 * What the overlay says of a board (`GET /v1/drops/{drop}/board`). Nothing is counted here: the board's numbers become words, and
 * where a number is a bound, or old, the words say so.
 */

/** How long the overlay shows what it heard last as if it were new, milliseconds without an answer. */
export const SILENT_MS = 5000;

/** What can be shown, in this order; `show=` in the address chooses. */
export const PARTS = ['title', 'state', 'claimed', 'percent', 'left', 'back', 'countdown', 'skus'];
/** What is shown if the address does not say. */
export const USUAL = ['title', 'state', 'claimed', 'left', 'back', 'countdown'];

const SELLS = ['open', 'last_call'];

/** Milliseconds as `4:09`, or `1:04:09`; what has begun counts as a whole second, so 0:00 is the end itself. */
export function clock(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const two = (value) => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const rest = `${hours ? two(Math.floor(seconds / 60) % 60) : Math.floor(seconds / 60)}:${two(seconds % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

/** The age of what the board says of others: a time, or `null` where it is of now; `undefined` where some were never heard. */
function since(board, silentMs) {
  if (board.as_of_ms === undefined || board.as_of_ms === null) return undefined;
  return board.as_of_ms < board.now_ms || silentMs >= SILENT_MS ? board.as_of_ms : null;
}

/** A text with a number in it, in three pieces, so that the number can be large whatever the language's order. */
function pieces(text, number) {
  const at = text.indexOf(number);
  return at < 0 ? [text, '', ''] : [text.slice(0, at), number, text.slice(at + number.length)];
}

function claimed(counts, exact, { t, number }) {
  const n = number(counts.claimed);
  const said = exact ? n : t('overlay.or_more', { n });
  return pieces(t('overlay.claimed', { n: said, count: counts.claimed }), said);
}

function left(counts, exact, { t, number }) {
  if (counts.sold_out) return { sold: true, text: [t('overlay.sold_out'), '', ''] };
  if (counts.left === 0) return { text: [t('overlay.none_free'), '', ''] };
  const n = number(counts.left);
  return { text: pieces(t(exact && counts.cut_off === 0 ? 'overlay.left' : 'overlay.at_most', { n, count: counts.left }), n) };
}

/** Of when what is left is, in words; none where it is of now. */
function ageOf(old, board, silentMs, { t, time }) {
  if (old === undefined) return t('overlay.some_not_heard');
  if (old !== null) return t('overlay.as_of', { time: time(old) });
  return silentMs >= SILENT_MS ? t('overlay.as_of', { time: time(board.now_ms) }) : '';
}

function countdown(board, silentMs, { t }) {
  if (board.ends_in_ms === undefined || board.ends_in_ms === null) return null;
  const rest = board.ends_in_ms - silentMs;
  return rest > 0 ? t('overlay.ends_in', { time: clock(rest) }) : t('overlay.ended');
}

function badge(board, total, { t }) {
  if (board.state === 'closed') return { kind: 'closed', text: t('overlay.closed') };
  if (board.state === 'announced') return { kind: 'soon', text: t('overlay.opens_soon') };
  if (total.sold) return { kind: 'sold', text: t('overlay.sold_out') };
  if (board.state === 'last_call') return { kind: 'last', text: t('overlay.last_call') };
  return null;
}

/**
 * What is shown of a board. `silentMs` is how long ago it came, `show` what is wanted of {@link PARTS}, `say` how this language
 * says it: `{ t, number, time }` of the frame's texts.
 * @returns `null` where nothing is to be shown: the drop is planned, and nobody announced it
 */
export function words(board, { silentMs = 0, show = USUAL, say }) {
  if (board.state === 'planned') return null;
  const { t, number } = say;
  const wants = (part) => show.includes(part);
  const old = since(board, silentMs);
  const exact = old === null && board.not_heard === 0;
  const stock = left(board.total, old === null, say);
  const age = ageOf(old, board, silentMs, say);
  const sells = SELLS.includes(board.state);
  const begun = board.state !== 'announced';
  const leftShown = sells && wants('left') && !(stock.sold && wants('state'));
  // Once: beside what is left, or below.
  const needsAge = silentMs >= SILENT_MS || (sells && (stock.sold || wants('skus')));
  const n = (value) => number(value);
  return {
    kind: board.state,
    silent: silentMs >= SILENT_MS,
    title: wants('title') ? board.title : null,
    badge: wants('state') ? badge(board, stock, say) : null,
    announced: !begun && wants('left') && board.total.announced > 0
      ? pieces(t('overlay.announced', { n: n(board.total.announced), count: board.total.announced }), n(board.total.announced)) : null,
    claimed: begun && wants('claimed') ? claimed(board.total, exact, say) : null,
    percent: begun && wants('percent') && Number.isInteger(board.total.claimed_percent)
      ? t(exact ? 'overlay.percent' : 'overlay.percent_or_more', { percent: n(board.total.claimed_percent) }) : null,
    // Sold out is said once: by the badge if there is one.
    left: leftShown ? { ...stock, note: age } : null,
    back: sells && wants('back') && board.total.back > 0 ? t('overlay.back', { n: n(board.total.back), count: board.total.back }) : null,
    // Why a number may be lower than it was.
    voided: begun && wants('claimed') && board.total.voided > 0
      ? t('overlay.voided', { n: n(board.total.voided), count: board.total.voided }) : null,
    countdown: sells && wants('countdown') ? countdown(board, silentMs, say) : null,
    note: needsAge && !leftShown ? age : '',
    skus: wants('skus') ? board.skus.map((sku) => ({
      name: sku.name ?? sku.sku,
      claimed: begun ? claimed(sku, exact, say) : null,
      left: sells ? left(sku, old === null, say) : null,
    })) : [],
  };
}
