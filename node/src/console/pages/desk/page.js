/** Desk and locker: a code is shown, and the answer is large. Pickups that wait, doors, and putting units away stand beside it. */

import { resource } from '../../frame/live.js';
import { t, time } from '../../frame/text.js';
import { confirm, drawer, html, nothing, onScan, render, toast } from '../../frame/ui.js';
import { again, headline } from './answer.js';
import { doorLine, doorsView } from './doors.js';
import { inLine, items, names } from './goods.js';
import { pinPad } from './pinpad.js';
import { REDEEM, Showing } from './redeem.js';
import { Stow } from './stow.js';
import { Waiting } from './waiting.js';

const KEPT = 'popmesh.desk.answers';
const LISTED = 8;
const SIGNS = { good: '✓', bad: '✕', wait: '!', ask: '?' };
const TABS = ['waiting', 'doors', 'stow'];
const DOOR_KINDS = ['door', 'redeemed', 'moved', 'refunded', 'sold', 'transferred', 'reset'];
/** A short one for yes, three for no: felt where nobody looks. */
const BUZZ = { good: [60], bad: [120, 80, 120, 80, 120], wait: [120, 80, 120], ask: [60] };

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? '[]');
  } catch {
    return [];
  }
}

/** What stays while another page is looked at, or the language is changed: of one device. */
class Desk {
  constructor(device) {
    this.device = device;
    this.log = kept();
    this.tab = 'waiting';
    this.draw = () => {};
    this.answered = () => {};
    const changed = () => this.draw();
    const me = device.device;
    this.names = names();
    this.doors = resource('/v1/doors', DOOR_KINDS, 5000);
    this.showing = new Showing({ me, changed, done: (answer) => this.done(answer) });
    const scan = (text) => this.scan(text);
    this.waiting = new Waiting({ me, names: this.names, changed, scan, hand: (claim) => this.showing.show(claim.claim) });
    this.stow = new Stow({ device, names: this.names, doors: this.doors, changed, scan });
  }

  /** Something was scanned or typed. */
  scan(text) {
    const said = text.trim();
    if (!said) return;
    if (this.showing.busy) toast(t('desk.one_at_a_time'), 'warn');
    else this.showing.take(said);
  }

  done(answer) {
    this.log.unshift(answer);
    this.log.splice(LISTED);
    navigator.vibrate?.(BUZZ[answer.tone]);
    this.doors.touch();
    this.answered();
  }
}

let desk = null;

/** Of what was begun before the page was loaded again: the frame tells what came of it. */
export function finished(act, outcome) {
  if (act.path !== REDEEM || !desk) return false;
  desk.showing.finished(act.body.claim, outcome);
  return true;
}

/** Draws the page into `frame.root`; what it returns ends it. */
export function start(frame) {
  const { device } = frame.status();
  if (desk?.device.device !== device.device) desk = new Desk(device);
  const { showing, waiting, stow, doors, log, names: known } = desk;
  let field = null;
  let focusSoon = false;
  let over = false;
  log.forEach(again);

  const focus = () => {
    // On a tablet a focus would bring up its keyboard over the answer; there a scanner is heard without one.
    if (matchMedia('(pointer: coarse)').matches || document.querySelector('dialog[open]')) return;
    (frame.root.querySelector('[name=pin]') ?? field)?.focus({ preventScroll: true });
  };
  desk.draw = draw;
  desk.answered = () => { focusSoon = true; };
  /** What was done at a door elsewhere on this page, or by itself, shows on the answer too. */
  const doorNews = () => {
    const { answer } = showing;
    const all = [...doors.data?.to_look_at ?? [], ...(doors.data?.compartments ?? []).map((one) => one.last).filter(Boolean)];
    const now = answer?.door && all.find((door) => door.redemption === answer.door.redemption);
    if (now) answer.door = now;
    draw();
  };

  const scan = (text) => desk.scan(text);

  async function fetchHere(answer) {
    const yes = await confirm({
      title: t('desk.fetch'), text: t('desk.fetch_text', { name: answer.facts.name }), yes: t('desk.fetch'), danger: false,
    });
    if (yes) showing.fetch();
  }

  function offers(answer) {
    return answer.offers.map((offer) => {
      if (offer === 'fetch') return html`<button class="primary" @click=${() => fetchHere(answer)}>${t('desk.fetch')}</button>`;
      if (offer === 'sure') return html`<button class="primary" @click=${() => showing.show(answer.claim)}>${t('desk.hand_out')}</button>`;
      if (offer === 'unlock') return html`<button @click=${() => showing.unlock()}>${t('desk.unlock')}</button>`;
      if (offer === 'pin') {
        return pinPad({
          pin: showing.pin, scan, send: (pin) => showing.tryPin(pin),
          change: (pin) => {
            showing.pin = pin;
            draw();
          },
        });
      }
      return html`<ul class="desk-list">${(answer.facts.claims ?? []).map((one) => html`<li>
        <button class="desk-choice" @click=${() => showing.show(one.claim)}><b>${one.code}</b> ${one.items} · ${t('desk.waiting.sold', { time: time(one.at_ms), by: one.seller })}</button></li>`)}</ul>`;
    });
  }

  function answered(answer) {
    const { tone, word } = headline(answer);
    return html`<div class="desk-answer ${tone} ${answer.wrong ? 'wrong' : ''}">
      <div class="desk-head"><span class="desk-sign" aria-hidden="true">${answer.wrong ? SIGNS.bad : SIGNS[tone]}</span>
        <div><h2>${word}</h2>${answer.reason ? html`<p class="desk-reason">${answer.reason}</p>` : nothing}</div></div>
      ${answer.label ? html`<p class="desk-label">${answer.label}${answer.shopper ? ` · ${answer.shopper}` : ''}</p>` : nothing}
      ${answer.items ? items(answer.items, known) : nothing}
      ${answer.next ? html`<p class="desk-next">${answer.next}</p>` : nothing}
      ${answer.door ? doorLine(answer.door, {
        mine: true, again: true, touch: (door) => {
          answer.door = door;
          doors.touch();
          showing.follow(answer);
          draw();
        },
      }) : answer.doors?.length ? html`<div class="desk-door wait"><p>${t('desk.door.opening', { where: answer.doors.join(', ') })}</p></div>` : nothing}
      ${answer.offers.length ? html`<div class="desk-offers">${offers(answer)}</div>` : nothing}
    </div>`;
  }

  function now() {
    if (showing.busy) {
      return html`<div class="desk-answer idle"><div class="desk-head"><span class="desk-sign" aria-hidden="true">…</span>
        <div><h2>${t('desk.asking')}</h2>${showing.asking.silent ? html`<p class="desk-reason">${t('desk.asking_silent')}</p>` : nothing}</div></div></div>`;
    }
    if (showing.answer) return answered(showing.answer);
    return html`<div class="desk-answer idle"><div class="desk-head"><span class="desk-sign" aria-hidden="true">▣</span>
      <div><h2>${t('desk.ready')}</h2><p class="desk-reason">${t('desk.ready_text')}</p></div></div></div>`;
  }

  function answers() {
    const before = log.filter((one) => one !== showing.answer);
    if (before.length === 0) return nothing;
    return html`<section aria-labelledby="desk-before"><h2 id="desk-before" class="kind">${t('desk.before')}</h2>
      <ol class="desk-before">${before.map((one) => html`<li><span class="desk-tone ${headline(one).tone}"><span aria-hidden="true">${SIGNS[headline(one).tone]}</span> ${headline(one).word}</span>
        <span>${one.items ? inLine(one.items, known) : one.reason}</span><span class="small">${one.label ?? ''} ${time(one.at)}</span></li>`)}</ol></section>`;
  }

  function side() {
    const { tab } = desk;
    const looks = doors.data?.to_look_at.filter((door) => door.device === device.device).length ?? 0;
    const body = { waiting: () => waiting.view(), doors: () => doorsView(doors, { me: device.device, names: known }), stow: () => stow.view() };
    const arrow = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      desk.tab = TABS[(TABS.indexOf(desk.tab) + step + TABS.length) % TABS.length];
      draw();
      frame.root.querySelector('[role=tab][aria-selected=true]')?.focus();
    };
    return html`<section class="desk-side">
      <div class="desk-tabs" role="tablist" aria-label=${t('desk.tabs')} @keydown=${arrow}>${TABS.map((one) => html`
        <button role="tab" id="desk-tab-${one}" aria-selected=${tab === one} aria-controls="desk-panel" tabindex=${tab === one ? 0 : -1} @click=${() => {
          desk.tab = one;
          draw();
        }}>${t(`desk.${one}.name`)}${one === 'doors' && looks ? html` <span class="desk-count">${looks}<span class="hidden"> ${t('desk.door.look_at')}</span></span>` : nothing}</button>`)}</div>
      <div class="stack" role="tabpanel" id="desk-panel" aria-labelledby="desk-tab-${tab}">${body[tab]()}</div></section>`;
  }

  function draw() {
    if (over) return;
    sessionStorage.setItem(KEPT, JSON.stringify(log));
    const submit = (event) => {
      event.preventDefault();
      scan(field.value);
      field.value = '';
    };
    render(html`<h1 class="hidden">${t('desk.name')}</h1>
      <div class="desk">
        <section class="stack">
          <form class="row desk-scan" @submit=${submit}>
            <label class="grow"><span>${t('desk.scan')}</span><input name="code" autocomplete="off" autocapitalize="characters" spellcheck="false" enterkeyhint="go"></label>
            <button class="primary">${t('desk.show')}</button>
          </form>
          <div role="status" aria-live="assertive">${now()}</div>
          ${answers()}
        </section>
        ${side()}
      </div>`, frame.root);
    field = frame.root.querySelector('[name=code]');
    if (!focusSoon) return;
    focusSoon = false;
    focus();
    frame.root.querySelector('.desk-answer')?.scrollIntoView({ block: 'nearest' });
  }

  draw();
  const news = drawer(draw);
  const ends = [onScan(scan), known.watch(news), doors.watch(drawer(doorNews)), waiting.start(news), stow.start(news)];
  focus();
  return () => {
    over = true;
    ends.forEach((end) => end());
  };
}
