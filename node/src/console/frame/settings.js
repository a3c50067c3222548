/** How the console looks and speaks: chosen on each tablet for itself. */

import { keepTheme, theme } from './keeps.js';
import { LANGUAGES, language, t } from './text.js';
import { dialog, html } from './ui.js';

const LOOKS = ['', 'light', 'dark', 'contrast'];

/** Shows a look: `light`, `dark`, `contrast`; that of the system without one. */
export function dress(name) {
  const bright = matchMedia('(prefers-contrast: more)').matches;
  const now = name || (bright ? 'contrast' : '');
  if (now) document.documentElement.dataset.theme = now;
  else delete document.documentElement.dataset.theme;
}

function choice(name, value, chosen, text, change, lang) {
  return html`<label class="choice"><input type="radio" name=${name} .checked=${value === chosen} @change=${() => change(value)}>
    <span lang=${lang ?? language()}>${text}</span></label>`;
}

/** Asks for language and look; both count at once. */
export function settings(speak) {
  return dialog(t('frame.settings'), (close, redraw) => {
    const look = (value) => {
      keepTheme(value);
      dress(value);
      redraw();
    };
    const talk = async (value) => {
      await speak(value);
      close();
    };
    return html`
      <fieldset><legend>${t('frame.language')}</legend>
        ${Object.entries(LANGUAGES).map(([code, own]) => choice('language', code, language(), own, talk, code))}</fieldset>
      <fieldset><legend>${t('frame.look')}</legend>
        ${LOOKS.map((one) => choice('look', one, theme() ?? '', t(`frame.looks.${one || 'system'}`), look))}</fieldset>
      <div class="row end"><button class="primary" @click=${() => close()}>${t('frame.close')}</button></div>`;
  });
}
