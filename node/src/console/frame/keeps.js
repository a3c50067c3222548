/** What this browser keeps from one load of the page to the next. */

const TOKEN = 'popmesh.token';
const DEVICE = 'popmesh.device';
const THEME = 'popmesh.theme';

function read(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    // A browser that keeps nothing shows the page all the same.
    return null;
  }
}

function write(key, value) {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {
    // As above.
  }
}

/** The token that this tablet was paired with; `null` on the node's own screen, which needs none. */
export const token = () => read(TOKEN);

/** Takes a token, or forgets it. */
export const pair = (text) => write(TOKEN, text);

/** The device that this browser knows at this address: `{device, name}`, or `null`. */
export function known() {
  try {
    const said = JSON.parse(read(DEVICE) ?? 'null');
    return typeof said?.device === 'string' ? said : null;
  } catch {
    return null;
  }
}

/** Notes the device at this address; forgets it without one. */
export const know = (device) => write(DEVICE, device && JSON.stringify(device));

/** The look that was chosen: `light`, `dark`, `contrast`, or `null` for that of the system. */
export const theme = () => read(THEME);

/** Keeps a look; with `null` that of the system counts. */
export const keepTheme = (name) => write(THEME, name);
