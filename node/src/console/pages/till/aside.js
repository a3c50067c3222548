/** The cart that was put aside and is being paid: changed on the node, since its units are held there. */

import { act } from '../../frame/api.js';
import { t } from '../../frame/text.js';

/** Says that a cart is being paid now: a close of its drop lets it be until then. Whether it can be paid, the sale itself says. */
export function paying(till) {
  const cart = till.basket.aside?.cart;
  if (cart) act(`/v1/carts/${cart}/paying`, undefined, { name: t('till.to_pay') }).catch(() => {});
}

/** Puts more into the cart that is being paid, or takes some out. */
export async function changeAside(till, sku, by) {
  const { cart } = till.basket.aside;
  const path = by > 0 ? 'items' : 'removals';
  try {
    const said = await act(`/v1/carts/${cart}/${path}`, { items: [{ sku, quantity: Math.abs(by) }] }, { name: `${t('till.put_aside')}: ${till.nameOf(sku)}` });
    till.payAside(said);
    till.carts.touch();
  } catch (error) {
    till.refuse(error, () => changeAside(till, sku, by), 'aside');
  }
}
