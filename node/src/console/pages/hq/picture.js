/** The picture of the mesh, drawn. What it says stands in the table below as well. */

import { svg } from '../../vendor/lit-html/lit-html.js';
import { t } from '../../frame/text.js';
import { html, repeat } from '../../frame/ui.js';
import { isOld, isTrouble, lagWords, roleSign, roleWords, seesWords, stateOf, stateWords } from './device-words.js';
import { layout, path } from './layout.js';

const RADIUS = 26;
/** With more devices than these the table is the way by keyboard: so many stops before it help nobody. */
const STOPS = 24;
/** More links than these are drawn thin. */
const MANY = 40;

const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** The outline of a device's sign: its shape tells its state without any colour. */
function outline(state) {
  if (state === 'here') return svg`<rect x=${-20} y=${-20} width="40" height="40" rx="5" transform="rotate(45)"></rect>`;
  if (state === 'retired' || state === 'left') return svg`<rect x=${-21} y=${-21} width="42" height="42" rx="4"></rect>`;
  if (state === 'suspended') return svg`<path d="M0-32 31 21H-31Z"></path>`;
  if (state === 'heard') return svg`<circle r=${RADIUS}></circle><circle r=${RADIUS - 5}></circle>`;
  return svg`<circle r=${RADIUS}></circle>`;
}

/** A small sign at the edge: that all is well, that it is heard through others, that nobody hears it, that it is gone. */
function badge(state) {
  const glyph = {
    here: 'm-5 0 4 4 6-8', linked: 'm-5 0 4 4 6-8', heard: 'm-4-4 4 4-4 4m4-8 4 4-4 4', suspended: 'M0-5v5m0 4v1',
  }[state] ?? 'm-4-4 8 8m0-8-8 8';
  return svg`<g transform="translate(21 19)"><circle r="10"></circle><path d=${glyph}></path></g>`;
}

/**
 * Draws the picture.
 * @param {object} mesh what `/v1/mesh` says
 * @param {number} width how wide it may be, pixels
 * @param {(device: string) => void} open called when a device is chosen
 */
export function picture(mesh, width, open) {
  const { venues, at, height } = layout(mesh.nodes, width);
  const names = new Map(mesh.nodes.map((node) => [node.device, node.name]));
  const press = (device) => (event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    open(device);
  };
  const edges = mesh.edges.filter((edge) => at.has(edge.a) && at.has(edge.b));
  const node = (one) => {
    const state = stateOf(one);
    const { x, y } = at.get(one.device);
    const said = [one.name, roleWords(one.roles), one.venue, stateWords(one), t('hq.sees', { who: seesWords(one, mesh.edges, names, mesh.as_of_ms) }), lagWords(one)];
    return svg`<g class="node ${state} ${isTrouble(state) ? 'trouble' : ''}" transform="translate(${x} ${y})" role="button" tabindex=${mesh.nodes.length > STOPS ? -1 : 0}
      data-device=${one.device} data-state=${state} aria-label=${said.join(', ')} @click=${() => open(one.device)} @keydown=${press(one.device)}>
      <rect class="hit" x="-54" y="-34" width="108" height="100" rx="10"></rect>
      <g class="shape">${outline(state)}</g>
      <text class="role" y="5">${roleSign(one.roles)}</text>
      <g class="badge">${badge(state)}</g>
      <text class="name" y="44">${short(one.name, 14)}</text>
      <text class="words" y="60">${short(stateWords(one, true), 18)}</text>
    </g>`;
  };
  return html`<svg class="hq-mesh ${edges.length > MANY ? 'dense' : ''}" role="group" aria-label=${t('hq.mesh.picture')} viewBox="0 0 ${width} ${height}" width=${width} height=${height}>
    ${venues.map((one) => svg`<g class="venue"><rect x=${one.x + 1} y=${one.y + 1} width=${one.width - 2} height=${one.height - 2} rx="10"></rect>
      <text x=${one.x + 14} y=${one.y + 24}>${short(one.venue, Math.floor(one.width / 9))}</text></g>`)}
    <g aria-hidden="true">${repeat(edges, (edge) => `${edge.a} ${edge.b}`, (edge) => svg`<path class="link ${edge.medium} ${isOld(edge, mesh.as_of_ms) ? 'old' : ''}"
      data-link="${edge.a} ${edge.b}" d=${path(at.get(edge.a), at.get(edge.b))}></path>`)}</g>
    ${repeat(mesh.nodes, (one) => one.device, node)}
  </svg>`;
}

/** What lines and shapes mean. */
export function legend() {
  const line = (medium, old = '') => html`<svg class="hq-mesh key" viewBox="0 0 40 12" width="40" height="12" aria-hidden="true">
    ${svg`<path class="link ${medium} ${old}" d="M2 6h36"></path>`}</svg>`;
  const shape = (state) => html`<svg class="hq-mesh key" viewBox="-36 -36 72 72" width="28" height="28" aria-hidden="true">
    ${svg`<g class="node ${state} ${isTrouble(state) ? 'trouble' : ''}"><g class="shape">${outline(state)}</g><g class="badge">${badge(state)}</g></g>`}</svg>`;
  const states = ['here', 'linked', 'heard', 'silent', 'suspended', 'retired'];
  return html`<ul class="hq-legend" aria-label=${t('hq.mesh.legend')}>
    ${states.map((state) => html`<li>${shape(state)} ${t(`hq.legend.${state}`)}</li>`)}
    ${['network', 'bluetooth', 'unknown'].map((medium) => html`<li>${line(medium)} ${t(`hq.medium.${medium}`)}</li>`)}
    <li>${line('network', 'old')} ${t('hq.legend.old')}</li>
  </ul>`;
}

