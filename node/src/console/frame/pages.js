/**
 * Which pages there are, and whose work they are; without roles, everybody's. A page adds itself here, with its texts under its name.
 * `modules` are all that it imports besides the frame's: they are asked for at once, and not one after the other as they are read.
 */
export const PAGES = [
  { name: 'till', roles: ['pos', 'hq'], modules: [
    'frame/rights.js', 'pages/till/aside.js', 'pages/till/basket.js', 'pages/till/cart.js',
    'pages/till/done.js', 'pages/till/grid.js', 'pages/till/later.js', 'pages/till/model.js',
    'pages/till/page.js', 'pages/till/pay.js', 'pages/till/picture.js', 'pages/till/reckon.js',
    'pages/till/refusals.js', 'pages/till/sale.js', 'pages/till/stock.js',
  ] },
  { name: 'desk', roles: ['locker', 'pos', 'hq'], modules: [
    'pages/desk/answer.js', 'pages/desk/doors.js', 'pages/desk/goods.js', 'pages/desk/page.js',
    'pages/desk/pinpad.js', 'pages/desk/redeem.js', 'pages/desk/stow.js', 'pages/desk/waiting.js',
  ] },
  { name: 'encoder', roles: ['encoder', 'hq'], modules: [
    'overlay/look.js', 'overlay/words.js', 'pages/encoder/address.js', 'pages/encoder/late.js',
    'pages/encoder/page.js', 'pages/encoder/steps.js', 'pages/encoder/stock.js',
  ] },
  { name: 'hq', roles: ['hq'], modules: [
    'pages/hq/page.js', 'pages/hq/parts.js',
  ] },
  { name: 'health', modules: [
    'frame/rights.js', 'pages/health/connect.js', 'pages/health/findings.js', 'pages/health/page.js',
  ] },
];

/** The page that a device with these roles begins with. */
export function first(roles) {
  const by = { hq: 'hq', pos: 'till', locker: 'desk', encoder: 'encoder' };
  return ['pos', 'locker', 'encoder', 'hq'].filter((role) => roles.includes(role)).map((role) => by[role])[0] ?? 'health';
}
