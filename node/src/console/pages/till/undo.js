/** Taking the last act back: what it was, what that will do, and asked before. */

import { Problem, act, get } from '../../frame/api.js';
import { confirm, toast, words } from '../../frame/ui.js';
import { has, language, money, t, time } from '../../frame/text.js';
import { linesOf } from './basket.js';
import { paidBack } from './claim.js';

/** The node's own words, which say more than a kind, where the person reads English; else what there is in their language. */
const more = (own, ours) => (language() === 'en' ? own : ours);

/** What an act was and what taking it back will do, in the person's language. */
async function described(till, last) {
  const back = has(`till.act_back.${last.kind}`) ? t(`till.act_back.${last.kind}`) : '';
  const said = { what: `${time(last.at_ms)}: ${t(`till.act.${last.kind}`)}.`, will: more(`${last.what}. ${last.undo ?? ''}`, back) };
  if (last.kind !== 'sale' || !last.claim) return said;
  try {
    const claim = await get(`/v1/claims/${last.claim}`);
    const items = linesOf(claim.items).map((line) => `${line.quantity} × ${till.nameOf(line.sku)}`).join(', ');
    return {
      what: t('till.undo_sale', { time: time(claim.at_ms), items, total: money(claim.total) }),
      will: t('till.undo_sale_will', { total: money(claim.total), tender: t(`till.tender.${claim.tender}`) }),
    };
  } catch {
    return said;
  }
}

/** Asks what was done last, asks the person, takes it back, and says what to pay. */
export async function undo(till) {
  let last;
  try {
    last = await get('/v1/undo');
  } catch (error) {
    toast(error instanceof Problem && error.code === 'nothing_to_undo' ? t('till.nothing_to_undo') : words(error), 'warn');
    return;
  }
  const { what, will } = await described(till, last);
  if (!last.undo) {
    await confirm({ title: t('till.undo_cannot'), text: `${what} ${more(`${last.what}. ${last.why_not ?? ''}`, t('till.act_stays'))}`, yes: t('frame.close'), danger: false });
    return;
  }
  if (!(await confirm({ title: t('till.undo_title'), text: `${what} ${will}`, yes: t('till.undo_yes') }))) return;
  try {
    const said = await act('/v1/undo', { entry: last.entry }, { name: `${t('till.undo')}: ${what}` });
    if (till.panel === 'done') till.next();
    till.stock.touch();
    till.carts.touch();
    if (said.refund) await paidBack(till, said.refund);
    else toast(t('till.undone'), 'good');
  } catch (error) {
    toast(words(error), 'bad');
  }
}
