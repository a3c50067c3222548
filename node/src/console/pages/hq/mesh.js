/** Who sees whom: the mesh as a live picture, and the same as a table. */

import { resource } from '../../frame/live.js';
import { number, t, time } from '../../frame/text.js';
import { drawer, html, nothing, render, words } from '../../frame/ui.js';
import { SIGNS, heardWords, lagWords, roleWords, seesWords, stateOf, stateWords } from './device-words.js';
import { byName } from './order.js';
import { legend, picture } from './picture.js';
import { openSheet } from './sheet.js';
import { table } from './table.js';

/** The mesh, looked up again when a device comes or goes, and every other second besides. */
export const mesh = () => resource('/v1/mesh', ['reachable', 'unreachable', 'retired', 'left', 'renewed', 'programme_changed'], 2000);

/** How it stands in one sentence. */
export function summary(nodes) {
  const counted = nodes.filter((node) => !node.retired_by && !node.left_to);
  const far = counted.filter((node) => !node.here && !node.reachable);
  const all = t('hq.mesh.count', { count: counted.length });
  if (counted.length <= 1) return t('hq.mesh.only_this');
  return far.length === 0 ? t('hq.mesh.all_in_reach', { all }) : t('hq.mesh.some_far', { all, count: far.length, names: far.map((node) => node.name).join(', ') });
}

function list(data, open) {
  const names = new Map(data.nodes.map((node) => [node.device, node.name]));
  const rows = [...data.nodes].sort((a, b) => byName(a.venue, b.venue) || byName(a.name, b.name));
  return table({
    caption: t('hq.mesh.table'),
    width: 'many',
    rows,
    key: (node) => node.device,
    columns: [
      { head: t('hq.col.device'), row: true, cell: (node) => html`<button class="plain hq-open" @click=${() => open(node.device)}>${node.name}</button>` },
      { head: t('hq.col.roles'), cell: (node) => roleWords(node.roles) },
      { head: t('hq.col.venue'), cell: (node) => node.venue },
      { head: t('hq.col.state'), cell: (node) => html`<span class="hq-state ${stateOf(node)}"><span aria-hidden="true">${SIGNS[stateOf(node)]}</span> ${stateWords(node)}</span>` },
      { head: t('hq.col.sees'), cell: (node) => seesWords(node, data.edges, names, data.as_of_ms) },
      { head: t('hq.col.lag'), cell: lagWords },
      { head: t('hq.col.heard'), cell: heardWords },
      { head: t('hq.col.program'), cell: (node) => node.program ?? t('hq.unknown') },
    ],
  });
}

/** Draws the part into `place`; what it returns ends it. */
export function start(place, frame) {
  const live = mesh();
  let width = 0;
  const open = (device) => openSheet(device, frame);
  const draw = () => {
    const data = live.data;
    const shown = Math.max(300, Math.floor(width));
    render(html`
      ${live.error && !data ? html`<div class="note bad" role="alert">${words(live.error)}</div>` : nothing}
      ${data ? html`
        <p class="hq-sum">${summary(data.nodes)}</p>
        ${data.links_on === false ? html`<div class="note warn">${t('hq.mesh.links_off')}</div>` : nothing}
        ${data.mesh_answers === false ? html`<div class="note warn">${t('hq.mesh.no_answer')}</div>` : nothing}
        <section class="card hq-picture" aria-label=${t('hq.mesh.picture')}>${width ? picture(data, shown - 38, open) : nothing}</section>
        ${legend()}
        <section class="card">${list(data, open)}</section>
        <p class="small">${t('hq.mesh.as_of', { when: time(data.as_of_ms), count: number(data.edges.length) })}</p>`
    : html`<p class="dim">${t('hq.looking')}</p>`}`, place);
  };
  const news = drawer(draw);
  const size = new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) < 1) return;
    width = entry.contentRect.width;
    draw();
  });
  size.observe(place);
  const end = live.watch(news);
  draw();
  return () => {
    size.disconnect();
    end();
  };
}
