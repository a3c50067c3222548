/** Certificates: which end soon, and signing them anew. */

import { t, time } from '../../frame/text.js';
import { html, toast } from '../../frame/ui.js';
import { ask, field, send, whole } from './form.js';

/** What came of a renewal, in words. */
function say(renewed) {
  for (const one of renewed.devices) toast(t('hq.renew.done', { name: one.name, when: time(one.until_ms) }), 'good');
  if (renewed.devices.length === 0 && renewed.skipped.length > 0) {
    toast(renewed.skipped.map((one) => t('hq.renew.skipped', { name: one.name, why: one.why })).join(' '), 'warn');
  }
}

const days = () => field('days', t('hq.renew.days'), { value: '7', mode: 'numeric', hint: t('hq.renew.hint') });

/** Renews the certificate of one device. */
export async function renewOne(node) {
  const renewed = await ask({
    title: t('hq.renew.title', { name: node.name }),
    yes: t('hq.renew.yes'),
    fields: () => html`<p>${t('hq.renew.text', { name: node.name, when: time(node.certificate_until_ms) })}</p>${days()}`,
    send: (data, form, how) => send('/v1/devices/renewals', { device: node.device, days: whole(data.days, 'days', 1, 366) }, how),
  });
  if (renewed) say(renewed);
}

/** Renews the certificates of all devices that this one may renew. */
export async function renewAll(nodes) {
  const renewed = await ask({
    title: t('hq.renew.all_title'),
    yes: t('hq.renew.all_yes'),
    fields: () => html`<p>${t('hq.renew.all_text', { count: nodes.length })}</p>${days()}`,
    send: (data, form, how) => send('/v1/devices/renewals', { days: whole(data.days, 'days', 1, 366) }, how),
  });
  if (!renewed) return;
  if (renewed.devices.length) toast(t('hq.renew.all_done', { count: renewed.devices.length }), 'good');
  const failed = renewed.skipped;
  if (failed.length) toast(failed.map((one) => t('hq.renew.skipped', { name: one.name, why: one.why })).join(' '), 'warn');
}
