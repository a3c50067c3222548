/** Which pages there are, and whose work they are; without roles, everybody's. A page adds itself here, with its texts under its name. */
export const PAGES = [
  { name: 'till', roles: ['pos', 'hq'] },
  { name: 'desk', roles: ['locker', 'pos', 'hq'] },
  { name: 'encoder', roles: ['encoder', 'hq'] },
  { name: 'hq', roles: ['hq'] },
  { name: 'health' },
];

/** The page that a device with these roles begins with. */
export function first(roles) {
  const by = { hq: 'hq', pos: 'till', locker: 'desk', encoder: 'encoder' };
  return ['pos', 'locker', 'encoder', 'hq'].filter((role) => roles.includes(role)).map((role) => by[role])[0] ?? 'health';
}
