/** Parts of the page that are loaded when somebody wants them: what a sale needs comes first. */

import { Silence } from '../../frame/api.js';
import { toast, words } from '../../frame/ui.js';

const later = (load, name) => async (...given) => {
  let part;
  try {
    part = await load();
  } catch (error) {
    toast(words(new Silence(error.message)), 'bad');
    return undefined;
  }
  return part[name](...given);
};

const ofFind = () => import('./find.js');
const ofReceipt = () => import('./receipt.js');
const ofCarts = () => import('./carts.js');

export const find = later(ofFind, 'find');
export const scanned = later(ofFind, 'scanned');
export const showCode = later(ofReceipt, 'showCode');
export const showReceipt = later(ofReceipt, 'showReceipt');
export const carts = later(ofCarts, 'carts');
export const putAside = later(ofCarts, 'putAside');
export const takings = later(() => import('./takings.js'), 'takings');
export const undo = later(() => import('./undo.js'), 'undo');
export const help = later(() => import('./help.js'), 'help');
