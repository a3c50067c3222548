/** Where the devices stand in the picture of the mesh: from venue and name alone, so that nothing moves when news comes. */

import { byName } from './order.js';

/** What a device takes up: its sign, and its name and state below. Pixels. */
export const CELL = { width: 112, height: 104 };
/** How far the sign's middle is above the cell's: its name and state stand below it. */
const SIGN = 18;
const GAP = 16;
const HEAD = 36;
const PAD = 10;
/** More devices than these stand in rows rather than on a ring. */
const RING = 12;

/** Places on an ellipse around 0,0, wide enough that no two cells overlap; `most` is how wide the cells may reach. */
function ring(count, most) {
  if (count === 1) return [{ x: 0, y: 0 }];
  const widest = Math.max(0, (most - CELL.width) / 2);
  const places = (rx, ry) => Array.from({ length: count }, (_, index) => {
    const turn = (2 * Math.PI * index) / count + (count === 2 ? Math.PI : -Math.PI / 2);
    return { x: Math.round(rx * Math.cos(turn)), y: Math.round(ry * Math.sin(turn)) };
  });
  const fits = (all) => all.every((a, i) => all.every((b, j) => j <= i
    || Math.abs(a.x - b.x) >= CELL.width || Math.abs(a.y - b.y) >= CELL.height));
  for (let size = 56; size < 4000; size += 8) {
    const all = places(Math.min(size, widest), count === 2 ? 0 : size * 0.62);
    if (fits(all)) return all;
    // Too narrow for two side by side: one above the other.
    if (count === 2 && size > widest) return [{ x: 0, y: -CELL.height / 2 }, { x: 0, y: CELL.height / 2 }];
  }
  return rows(count, most);
}

/** Places in rows, every second one shifted, so that lines between neighbours of a row do not all lie on each other. */
function rows(count, most) {
  const across = Math.max(1, Math.min(Math.floor((most - CELL.width / 2) / CELL.width), Math.ceil(Math.sqrt(count * 2.5))));
  const down = Math.ceil(count / across);
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / across);
    return {
      x: ((index % across) - (across - 1) / 2) * CELL.width + (across > 1 ? (row % 2 ? 0.25 : -0.25) * CELL.width : 0),
      y: (row - (down - 1) / 2) * CELL.height,
    };
  });
}

function venueBox(venue, nodes, most) {
  const sorted = [...nodes].sort((a, b) => byName(a.name, b.name) || byName(a.device, b.device));
  const inside = most - 2 * PAD;
  const places = sorted.length <= RING ? ring(sorted.length, inside) : rows(sorted.length, inside);
  const left = Math.min(...places.map((place) => place.x)) - CELL.width / 2;
  const right = Math.max(...places.map((place) => place.x)) + CELL.width / 2;
  const top = Math.min(...places.map((place) => place.y)) - CELL.height / 2;
  const bottom = Math.max(...places.map((place) => place.y)) + CELL.height / 2;
  const width = Math.max(right - left + 2 * PAD, Math.min(most, 2 * CELL.width));
  const shift = (width - (right - left)) / 2 - left;
  return {
    venue,
    width,
    height: bottom - top + HEAD + PAD,
    nodes: sorted.map((node, index) => ({ node, x: places[index].x + shift, y: places[index].y - top + HEAD })),
  };
}

/**
 * Lays the mesh out.
 * @param {Array<{device: string, name: string, venue: string}>} nodes the devices
 * @param {number} width how wide the picture may be, pixels
 * @returns {{width: number, height: number, venues: Array<{venue: string, x: number, y: number, width: number, height: number}>,
 *   at: Map<string, {x: number, y: number}>}} boxes of venues, and by device the middle of its sign
 */
export function layout(nodes, width) {
  const by = new Map();
  for (const node of nodes) by.set(node.venue, [...(by.get(node.venue) ?? []), node]);
  const boxes = [...by.keys()].sort(byName).map((venue) => venueBox(venue, by.get(venue), width));
  const venues = [];
  const at = new Map();
  let [x, y, high] = [0, 0, 0];
  let line = [];
  const place = () => {
    // A line of venues fills the width, so that the picture is no smaller than it can be.
    const more = line.length ? Math.max(0, (width - (x - GAP)) / line.length) : 0;
    line.forEach((box, index) => {
      const left = box.x + index * more;
      venues.push({ venue: box.venue, x: left, y, width: box.width + more, height: high });
      const down = (high - box.height) / 2;
      for (const one of box.nodes) at.set(one.node.device, { x: Math.round(left + one.x + more / 2), y: Math.round(y + one.y + down - SIGN) });
    });
    y += high + GAP;
    [x, high, line] = [0, 0, []];
  };
  for (const box of boxes) {
    if (x > 0 && x + box.width > width) place();
    line.push({ ...box, x });
    x += box.width + GAP;
    high = Math.max(high, box.height);
  }
  if (line.length) place();
  return { width, height: Math.max(0, y - GAP), venues, at };
}

/** The path of a link between two places: a little bent, always to the same side, so that lines do not hide each other. */
export function path(a, b) {
  const bend = 0.08;
  const [x, y] = [(a.x + b.x) / 2 + (b.y - a.y) * bend, (a.y + b.y) / 2 - (b.x - a.x) * bend];
  return `M${a.x} ${a.y}Q${Math.round(x)} ${Math.round(y)} ${b.x} ${b.y}`;
}
