/** After a page was loaded again: what it had begun is finished under its keys, and the person is told what came of it. */

import { Problem, finish, forget, unanswered } from './api.js';
import { t, time } from './text.js';
import { toast, words } from './ui.js';

function label(one) {
  const kind = one.path.replace(/^\/v1\//, '').split('/')[0];
  return one.name && !one.name.startsWith('/') ? one.name : t('frame.act_unnamed', { kind });
}

/**
 * Finishes them one after the other. A page that exports `finished(act, {said, problem})` is told first, and says it itself by
 * returning `true`: `module()` is the page that is shown.
 */
export async function finishAll(module) {
  for (const one of unanswered()) {
    const facts = { what: label(one), at: time(one.at) };
    let outcome;
    try {
      const asked = finish(one, { waiting: (on) => { if (on) toast(t('frame.act_waits', facts)); } });
      if (asked === null) {
        forget(one.key);
        toast(t('frame.act_unknown', facts), 'warn', 20_000);
        continue;
      }
      outcome = { said: await asked };
    } catch (problem) {
      if (problem.status === 401) return;
      outcome = { problem };
    }
    if (module()?.finished?.(one, outcome)) continue;
    if (outcome.problem instanceof Problem) toast(t('frame.act_refused', { ...facts, why: words(outcome.problem) }), 'bad', 20_000);
    else if (outcome.problem) reportError(outcome.problem);
    else toast(t('frame.act_done', facts), 'good', 10_000);
  }
}
