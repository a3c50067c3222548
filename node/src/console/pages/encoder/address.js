/** The overlay's address, put together by what is chosen, to be copied into OBS. */

import { write } from '../../overlay/look.js';
import { PARTS, USUAL } from '../../overlay/words.js';
import { LANGUAGES, language, t } from '../../frame/text.js';
import { html, nothing, toast } from '../../frame/ui.js';

const KEPT = 'popmesh.overlay';
const COLOURS = { ink: '#ffffff', accent: '#5cc08d', paper: '#10141b' };
/** The largest logo that is taken into a text, bytes. */
const LOGO_MOST = 200_000;

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? '{}');
  } catch {
    return {};
  }
}

/** The chooser of what the overlay shows. `changed` is called after each change. */
export class Address {
  constructor(changed) {
    this.changed = changed;
    this.chosen = { show: [...USUAL], lang: '', look: {}, vertical: false, ...kept() };
    this.logo = null;
  }

  set(part) {
    Object.assign(this.chosen, part);
    localStorage.setItem(KEPT, JSON.stringify(this.chosen));
    this.changed();
  }

  /** The address, of the node that serves this page. */
  of(drop) {
    const { show, lang, look } = this.chosen;
    return `${location.origin}/overlay?${write({ drop, show, lang: lang || language(), look: Object.entries(look) })}`;
  }

  async takeLogo(event) {
    const [file] = event.target.files;
    if (!file) return;
    if (!file.type.startsWith('image/') || file.size > LOGO_MOST) {
      toast(t('encoder.overlay.logo_bad', { kb: LOGO_MOST / 1000 }), 'bad');
      return;
    }
    const reader = new FileReader();
    reader.onload = () => {
      this.logo = `:root { --overlay-logo: url("${reader.result}"); --overlay-logo-height: 2.6em; }`;
      this.changed();
    };
    reader.readAsDataURL(file);
  }

  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      toast(t('encoder.overlay.copied'), 'good');
    } catch {
      // No clipboard without a secure context: the text is selected, and a person copies it.
      document.getElementById('encoder-address').select();
      toast(t('encoder.overlay.copy_by_hand'));
    }
  }

  /** The part of the page. */
  view(drop) {
    const { show, lang, look, vertical } = this.chosen;
    const url = this.of(drop);
    const flip = (part) => () => this.set({ show: PARTS.filter((one) => (one === part ? !show.includes(one) : show.includes(one))) });
    const colour = (name) => (event) => this.set({ look: { ...look, [name]: event.target.value } });
    const plain = look.paper === 'transparent';
    return html`<details class="card encoder-overlay"><summary><h2>${t('encoder.overlay.title')}</h2></summary><div class="stack">
      <p>${t('encoder.overlay.text')}</p>
      <fieldset><legend>${t('encoder.overlay.shows')}</legend><div class="encoder-checks">${PARTS.map((part) => html`
        <label class="encoder-check"><input type="checkbox" .checked=${show.includes(part)} @change=${flip(part)}> ${t(`encoder.overlay.parts.${part}`)}</label>`)}</div></fieldset>
      <div class="encoder-fields">
        <label><span>${t('encoder.overlay.language')}</span><select @change=${(event) => this.set({ lang: event.target.value })}>
          ${Object.entries(LANGUAGES).map(([code, name]) => html`<option value=${code} ?selected=${(lang || language()) === code}>${name}</option>`)}</select></label>
        <label><span>${t('encoder.overlay.format')}</span><select @change=${(event) => this.set({ vertical: event.target.value === 'vertical' })}>
          <option value="wide" ?selected=${!vertical}>1920 × 1080</option><option value="vertical" ?selected=${vertical}>1080 × 1920</option></select></label>
        <label><span>${t('encoder.overlay.place')}</span><select @change=${(event) => {
          const [down, across] = event.target.value.split(' ');
          this.set({ look: { ...look, down, across } });
        }}>${['end start', 'end center', 'end end', 'start start', 'start center', 'start end'].map((one) => html`
          <option value=${one} ?selected=${`${look.down ?? 'end'} ${look.across ?? 'start'}` === one}>${t(`encoder.overlay.places.${one.replace(' ', '_')}`)}</option>`)}</select></label>
        ${Object.entries(COLOURS).filter(([name]) => name !== 'paper' || !plain).map(([name, usual]) => html`<label><span>${t(`encoder.overlay.colours.${name}`)}</span>
          <input type="color" .value=${look[name] ?? usual} @change=${colour(name)}></label>`)}
        <label class="encoder-check"><input type="checkbox" .checked=${plain} @change=${(event) => this.set({ look: { ...look, paper: event.target.checked ? 'transparent' : undefined } })}> ${t('encoder.overlay.no_paper')}</label>
      </div>
      <label><span>${t('encoder.overlay.address')}</span><textarea id="encoder-address" readonly rows="3" .value=${url}></textarea></label>
      <div class="row"><button class="primary" @click=${() => this.copy(url)}>${t('encoder.overlay.copy')}</button>
        <a class="button" href=${url} target="_blank" rel="noopener">${t('encoder.overlay.preview')}</a></div>
      <p class="small">${t('encoder.overlay.obs', vertical ? { width: 1080, height: 1920 } : { width: 1920, height: 1080 })}</p>
      <label><span>${t('encoder.overlay.logo')}</span><input type="file" accept="image/png,image/jpeg,image/webp,image/gif,image/svg+xml" @change=${(event) => this.takeLogo(event)}></label>
      ${this.logo ? html`<label><span>${t('encoder.overlay.logo_css')}</span><textarea readonly rows="3" .value=${this.logo}></textarea></label>
        <div class="row"><button @click=${() => this.copy(this.logo)}>${t('encoder.overlay.copy_css')}</button></div>` : nothing}
      <p class="small">${t('encoder.overlay.elsewhere')}</p>
    </div></details>`;
  }
}
