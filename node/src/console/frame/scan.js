/** Hears a scanner that types (a wedge), wherever the focus is. */

/** Longest pause between the characters of a scanner, also of a slow one by radio, milliseconds: at first, and once it is surely one. */
const FAST_MS = 120;
const SURE_MS = 600;
/** After so many characters it is a scanner. */
const SURE = 4;
/** Fewer characters are no scan. */
const LEAST = 3;

const IN_FIELD = 'input:not([type="checkbox"], [type="radio"]), textarea, select';

/**
 * Hears characters that come fast and end with Enter, wherever the focus is but in a text field; also while a dialog is open if
 * `dialogs` says so. What a scanner types presses no button. Calls back with the text; ends with what it returns.
 */
export function onScan(call, { dialogs = false } = {}) {
  let text = '';
  let at = 0;
  const hear = (event) => {
    if (event.repeat || event.target.closest?.(IN_FIELD)) return;
    if (!dialogs && document.querySelector('dialog[open]')) return;
    // When the key came, not when it is dealt with: a page that is busy deals with many at once, or late.
    const pause = event.timeStamp - at;
    at = event.timeStamp;
    if (pause > (text.length >= SURE ? SURE_MS : FAST_MS)) text = '';
    if (event.key === 'Enter' && text.length >= LEAST) {
      const whole = text;
      text = '';
      event.preventDefault();
      event.stopPropagation();
      call(whole);
    } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
      text += event.key;
      // A blank would press the button that has the focus, a slash open a search.
      if (text.length > 1) event.preventDefault();
    }
  };
  document.addEventListener('keydown', hear, true);
  return () => document.removeEventListener('keydown', hear, true);
}
