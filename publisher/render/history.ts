import { formatMs } from '../../shared/duration.ts';
import type { HistoryAnswer } from '../commands/history.ts';
import type { PastDeployment } from '../record/local-deployment.ts';
import type { Page } from './page.ts';
import { aligned, lineOf, localTime, oneLine, type Span, type Tone } from './text.ts';
import { warningTexts } from './warning-text.ts';

/** The deployments of a service, newest first. Pure. */

export const OUTCOMES: Record<PastDeployment['status'], { glyph: string; tone: Tone }> = {
  announced: { glyph: '●', tone: 'busy' },
  succeeded: { glyph: '✓', tone: 'good' },
  failed: { glyph: '✗', tone: 'bad' },
  'timed-out': { glyph: '?', tone: 'bad' },
  cancelled: { glyph: '–', tone: 'dim' },
};

export function historyTable(answer: HistoryAnswer, page: Page): string[] {
  const { service, env, deployments, narrowed } = answer;
  if (deployments.length === 0) {
    return [
      narrowed ? `no matching deployment of ${service} in ${env}` : `${service} was never deployed in ${env}`,
    ];
  }
  const rows = deployments.map((one): Span[] => {
    const { glyph, tone } = OUTCOMES[one.status];
    return [
      { text: one.deployment },
      { text: localTime(Date.parse(one.announcedAt)) },
      { text: `${glyph} ${one.status}`, tone },
      { text: changeText(one) },
      { text: specialsText(one), tone: 'dim' },
      { text: one.tookMs ? formatMs(one.tookMs) : '' },
      { text: fromText(one) },
      { text: oneLine(one.reason ?? ''), tone: 'dim' },
    ];
  });
  const lines = aligned(rows, page).flatMap((line, i) => {
    const one = deployments[i];
    if (!one) return [line];
    const below = (text: string, tone: Tone) =>
      lineOf([{ text: `      ${text}`, tone }], page.columns, page.paint);
    const warnings = warningsOf(one).map((text) => below(text, 'warn'));
    // A success needs no reason.
    if (!one.outcome || one.status === 'succeeded') return [line, ...warnings];
    return [line, below(oneLine(one.outcome), 'dim'), ...warnings];
  });
  return [page.paint('strong', `${service} in ${env}`), '', ...lines];
}

/** The warnings of its instances, each once. */
function warningsOf({ results = {} }: PastDeployment): string[] {
  return warningTexts(Object.entries(results).map(([instance, { warning }]) => ({ instance, warning })));
}

export function historyLines({ deployments }: HistoryAnswer): string[] {
  return deployments.map((one) => {
    const took = one.tookMs ? ` in ${formatMs(one.tookMs)}` : '';
    const change = [one.action, changeText(one), specialsText(one)].filter(Boolean).join(' ');
    const facts = [
      `${one.announcedAt} ${one.service} ${one.deployment} ${change} ${one.status}${took} by ${fromText(one)}`,
      one.from.build && `build ${oneLine(one.from.build)}`,
      one.reason && `(${oneLine(one.reason)})`,
      one.status !== 'succeeded' && one.outcome && `: ${oneLine(one.outcome)}`,
      ...warningsOf(one).map((text) => `[${text}]`),
    ];
    return facts.filter(Boolean).join(' ').replace(' : ', ': ');
  });
}

/** Who started the deployment, and through which console, or on which host unless the name includes the host. */
export function fromText({ issuedBy, from }: PastDeployment): string {
  const who = oneLine(issuedBy);
  if (from.via !== undefined) return `${who} via ${oneLine(from.via)}`;
  const host = oneLine(from.host);
  return who.includes(host) ? who : `${who} on ${host}`;
}

export function changeText({ previous, version, action }: PastDeployment): string {
  const change = previous === null || previous === version ? version : `${previous} → ${version}`;
  return action === 'deploy' ? change : `${change} (${action})`;
}

/** What is special about the deployment: it was promoted, it has waves, its automatic checks or that they were skipped, it is for named instances only, its record is not signed. */
function specialsText({ rolling, targets, promotedFrom, unsigned, checks }: PastDeployment): string {
  const waves = rolling?.waves.length;
  return [
    promotedFrom === undefined ? '' : `from ${promotedFrom}`,
    waves === undefined ? '' : `${waves} ${waves === 1 ? 'wave' : 'waves'}`,
    checks?.skipped ? 'checks skipped' : '',
    checks && !checks.skipped && checks.alarms.length > 0 ? 'alarms' : '',
    checks?.verify && !checks.skipped ? 'verify' : '',
    targets === undefined ? '' : `${targets.length} named`,
    unsigned ? 'unsigned' : '',
  ]
    .filter(Boolean)
    .join(', ');
}
