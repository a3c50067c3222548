/** The encoder's page: the drop's steps by hand, how it stands, and what the stream shows of it. */

import { Problem } from '../../frame/api.js';
import { connection, onConnection, resource } from '../../frame/live.js';
import { number, t, time } from '../../frame/text.js';
import { drawer, html, nothing, render, words } from '../../frame/ui.js';
import { clock } from '../../overlay/words.js';
import { Address } from './address.js';
import { lateView } from './late.js';
import { KINDS, SIGNS, announce, close, lastCall, open, stepsView } from './steps.js';
import { stockView } from './stock.js';

const KEPT = 'popmesh.encoder.drop';
const DROP_KINDS = ['step', 'programme_changed', 'minted', 'reset'];
const BOARD_KINDS = ['sold', 'refunded', 'step', 'minted', 'reachable', 'unreachable', 'voided', 'reset'];

/** The node's own clock, which binds; a tablet's may be wrong. Told by the board, and carried on by a clock that never jumps. */
class NodeClock {
  hear(nowMs) {
    if (this.told === nowMs) return;
    this.told = nowMs;
    this.at = performance.now();
  }

  now = () => (this.told === undefined ? Date.now() : this.told + performance.now() - this.at);
}

/** Which drop is looked at first: the one chosen last, else one that sells, else the last that is not over. */
function choose(drops, chosen) {
  return drops.find((one) => one.drop === chosen)
    ?? drops.find((one) => one.state === 'open' || one.state === 'last_call')
    ?? drops.findLast((one) => one.state !== 'closed')
    ?? drops.at(-1);
}

/** Draws the page into `frame.root`; what it returns ends it. */
export function start(frame) {
  const nodeClock = new NodeClock();
  const drops = resource('/v1/drops?limit=1000', DROP_KINDS, 5000);
  const devices = resource('/v1/devices?limit=1000', ['entrusted', 'retired', 'renewed', 'reset'], 60_000);
  const address = new Address(() => draw());
  let chosen = sessionStorage.getItem(KEPT);
  let venue = '';
  let of = null;
  let silent = false;
  let busy = false;
  let over = false;
  const news = drawer(draw);
  const ends = [];

  /** What is known of the drop that is looked at. */
  function turn(drop) {
    if (of?.drop === drop) return;
    of?.ends.forEach((end) => end());
    const path = `/v1/drops/${encodeURIComponent(drop)}`;
    const [board, steps, late] = [
      resource(`${path}/board`, BOARD_KINDS, 1000),
      resource(`${path}/steps?limit=200`, DROP_KINDS, 10_000),
      resource(`${path}/late?limit=200`, ['step', 'sold', 'refunded', 'voided', 'reset'], 10_000),
    ];
    const fresh = () => {
      if (board.data) nodeClock.hear(board.data.now_ms);
      news();
    };
    of = { drop, board, steps, late, ends: [] };
    of.ends = [board.watch(fresh), steps.watch(news), late.watch(news)];
    if (board.data) nodeClock.hear(board.data.now_ms);
  }

  async function doing(step) {
    if (busy) return;
    busy = true;
    draw();
    const waiting = (is) => {
      silent = is;
      draw();
    };
    const again = stateOf(choose(drops.data.items, chosen), of.board.data) === 'closed';
    await step({ board: of.board.data, venue, again, waiting, nowMs: nodeClock.now });
    busy = false;
    silent = false;
    [drops, of.board, of.steps, of.late].forEach((one) => one.touch());
    draw();
  }

  /** The state at the venue that is looked at: the board's, or that of a venue which differs. */
  function stateOf(info, board) {
    const other = venue ? info?.venues?.find((one) => one.venue === venue) : null;
    return other?.state ?? info?.state ?? board.state;
  }

  function roundOf(info, board) {
    const other = venue ? info?.venues?.find((one) => one.venue === venue) : null;
    return other?.round ?? info?.round ?? board.round;
  }

  function countdown(endsMs, state) {
    if (!endsMs || state === 'closed') return nothing;
    const rest = endsMs - nodeClock.now();
    return html`<p class="encoder-countdown"><b>${rest > 0 ? clock(rest) : t('encoder.over')}</b>
      <span>${t('encoder.hard_end_at', { time: time(endsMs) })}</span></p>`;
  }

  function buttons(state) {
    const button = (step, text, kind) => html`<button class=${kind} ?disabled=${busy} @click=${() => doing(step)}>${text}</button>`;
    switch (state) {
      case 'planned': return [button(open, t('encoder.open_at_once'), ''), button(announce, t('encoder.steps.announce'), 'primary encoder-main')];
      case 'announced': return [button(open, t('encoder.steps.open'), 'primary encoder-main')];
      case 'open': return [button(lastCall, t('encoder.steps.last_call'), ''), button(close, t('encoder.close_now'), 'encoder-close encoder-main')];
      case 'last_call': return [button(close, t('encoder.close_now'), 'encoder-close encoder-main')];
      default: return [button(announce, t('encoder.announce_again'), ''), button(open, t('encoder.open_again'), 'primary encoder-main')];
    }
  }

  /** The steps of this round in their order; what was passed over is not said to have happened. */
  function track(state, round) {
    const reached = { planned: 0, announced: 1, open: 2, last_call: 3, closed: 4 }[state];
    const happened = new Set((of.steps.data?.items ?? []).filter((one) => one.round === round).map((one) => one.step));
    const kindOf = (kind, at) => (at >= reached ? 'later' : happened.has(kind) || !of.steps.data ? 'done' : 'skipped');
    return html`<ol class="encoder-track">${KINDS.map((kind, at) => {
      const is = kindOf(kind, at);
      return html`<li class=${is} aria-current=${at + 1 === reached ? 'step' : nothing}>
        ${is === 'done' ? html`<span aria-hidden="true">✓</span> ` : nothing}${t(`encoder.steps.${kind}`)}${is === 'skipped' ? html` <span class="small">${t('encoder.left_out')}</span>` : nothing}</li>`;
    })}</ol>`;
  }

  function drop(info, board) {
    const state = stateOf(info, board);
    const round = roundOf(info, board);
    const venues = [...new Set((devices.data?.items ?? []).filter((one) => !one.retired_by).map((one) => one.venue))].sort();
    const others = info?.venues ?? [];
    return html`
      <section class="card stack encoder-state" aria-labelledby="encoder-drop">
        <div class="row"><h1 id="encoder-drop">${board.title}</h1>
          <p class="encoder-now ${state}" role="status"><span aria-hidden="true">${SIGNS[state]}</span> ${t(`encoder.states.${state}`)}${
            round > 0 ? html` <span class="small">${t('encoder.round', { n: number(round + 1) })}</span>` : nothing}</p>
          ${countdown(board.ends_ms ?? info?.ends_ms, state)}</div>
        ${track(state, round)}
        ${info?.ended ? html`<p class="note">${t('encoder.ended_itself', { time: time(info.ends_ms) })}</p>` : nothing}
        ${others.length ? html`<p class="small">${others.map((one) => t('encoder.differs', { venue: one.venue, state: t(`encoder.states.${one.state}`) })).join(' · ')}</p>` : nothing}
        ${venues.length > 1 ? html`<label><span>${t('encoder.where')}</span><select @change=${(event) => {
          venue = event.target.value;
          draw();
        }}><option value="">${t('encoder.everywhere')}</option>${venues.map((one) => html`<option value=${one} ?selected=${one === venue}>${one}</option>`)}</select></label>` : nothing}
        ${silent ? html`<p class="note warn" role="alert">${t('encoder.asking_silent')}</p>` : nothing}
        <div class="encoder-acts">${buttons(state)}</div>
      </section>`;
  }

  function draw() {
    if (over) return;
    const list = drops.data?.items ?? [];
    const info = choose(list, chosen);
    if (info) turn(info.drop);
    const board = of?.board.data;
    const refused = [drops, of?.board].find((one) => one?.error instanceof Problem && !one.data);
    render(html`<div class="encoder stack">
        ${list.length > 1 ? html`<label class="encoder-choose"><span>${t('encoder.drop')}</span><select @change=${(event) => {
          chosen = event.target.value;
          sessionStorage.setItem(KEPT, chosen);
          draw();
        }}>${list.map((one) => html`<option value=${one.drop} ?selected=${one.drop === info.drop}>${one.title} · ${t(`encoder.states.${one.state}`)}</option>`)}</select></label>` : nothing}
        ${refused ? html`<p class="note warn">${words(refused.error)}</p>` : nothing}
        ${drops.data && list.length === 0 ? html`<h1>${t('encoder.name')}</h1><p class="note">${t('encoder.no_drop')}</p>` : nothing}
        ${board ? html`<div class="encoder-columns">
          <div class="stack">${drop(info, board)}${stepsView(of.steps)}</div>
          <div class="stack">${connection.state === 'lost' ? html`<p class="note warn">${t('encoder.old', { time: time(board.now_ms) })}</p>` : nothing}${stockView(board)}</div>
        </div>${lateView(of.late)}${address.view(board.drop)}` : nothing}
      </div>`, frame.root);
  }

  draw();
  ends.push(drops.watch(news), devices.watch(news), onConnection(news));
  const ticking = setInterval(news, 500);
  return () => {
    over = true;
    clearInterval(ticking);
    [...ends, ...(of?.ends ?? [])].forEach((end) => end());
  };
}
