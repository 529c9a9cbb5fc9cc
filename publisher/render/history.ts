import { formatMs } from '../../shared/duration.ts';
import type { HistoryAnswer } from '../commands/history.ts';
import type { PastDeployment } from '../record/local-deployment.ts';
import type { PastPause } from '../record/past-pauses.ts';
import { badgesOf } from './badges.ts';
import type { Page } from './page.ts';
import { aligned, lineOf, localTime, oneLine, type Span, type Tone } from './text.ts';
import { warningTexts } from './warning-text.ts';

/** The deployments of a service or of all services, and the pauses between them, newest first. Pure. */

export const OUTCOMES: Record<PastDeployment['status'], { glyph: string; tone: Tone }> = {
  announced: { glyph: '●', tone: 'busy' },
  succeeded: { glyph: '✓', tone: 'good' },
  failed: { glyph: '✗', tone: 'bad' },
  'timed-out': { glyph: '?', tone: 'bad' },
  cancelled: { glyph: '–', tone: 'dim' },
};

export function historyTable(answer: HistoryAnswer, page: Page): string[] {
  const { service, env, deployments } = answer;
  const title = page.paint('strong', service === undefined ? env : `${service} in ${env}`);
  const pauses = answer.pauses.map((pause) => ({
    at: Date.parse(pause.at),
    lines: [
      lineOf(
        [{ text: `  ${localTime(Date.parse(pause.at))} ${pauseText(pause, env)}`, tone: 'warn' }],
        page.columns,
        page.paint,
      ),
    ],
  }));
  if (deployments.length === 0)
    return [noneText(answer), ...pauses.flatMap(({ lines }) => lines), ...moreLines(answer)];
  const rows = deployments.map((one): Span[] => {
    const { glyph, tone } = OUTCOMES[one.status];
    return [
      { text: one.deployment },
      ...(service === undefined ? [{ text: one.service }] : []),
      { text: localTime(Date.parse(one.announcedAt)) },
      { text: `${glyph} ${one.status}`, tone },
      { text: changeText(one) },
      { text: specialsText(one), tone: 'dim' },
      { text: one.tookMs ? formatMs(one.tookMs) : '' },
      { text: fromText(one) },
      { text: oneLine(one.reason ?? ''), tone: 'dim' },
    ];
  });
  const blocks = aligned(rows, page).map((line, i) => {
    const one = deployments[i];
    if (!one) return { at: 0, lines: [line] };
    const at = Date.parse(one.announcedAt);
    const below = (text: string, tone: Tone) =>
      lineOf([{ text: `      ${text}`, tone }], page.columns, page.paint);
    const special = badgesOf(one).join(', ');
    const badges = special === '' ? [] : [below(special, 'warn')];
    const warnings = warningsOf(one).map((text) => below(text, 'warn'));
    // A success needs no reason.
    if (!one.outcome || one.status === 'succeeded') return { at, lines: [line, ...badges, ...warnings] };
    return { at, lines: [line, below(oneLine(one.outcome), 'dim'), ...badges, ...warnings] };
  });
  const lines = inTime(blocks, pauses).flatMap((block) => block.lines);
  return [title, '', ...lines, ...moreLines(answer)];
}

function noneText({ service, env, narrowed }: HistoryAnswer): string {
  if (service === undefined)
    return narrowed ? `no matching deployment in ${env}` : `nothing was deployed in ${env}`;
  return narrowed
    ? `no matching deployment of ${service} in ${env}`
    : `${service} was never deployed in ${env}`;
}

/** How the list goes on. */
const moreLines = ({ before, service, env }: HistoryAnswer): string[] =>
  before === undefined
    ? []
    : [
        '',
        `→ older ones: trigger-deploy history${service === undefined ? '' : ` ${service}`} --env ${env} --before ${before}`,
      ];

interface Timed {
  at: number; // ms since the epoch
}

/** Both in one list, the newest first; `rows` keep their order. */
function inTime<T extends Timed>(rows: readonly T[], pauses: readonly T[]): T[] {
  const left = [...pauses];
  const merged = rows.flatMap((row) => {
    const newer = left.findIndex((pause) => pause.at < row.at);
    return [...left.splice(0, newer === -1 ? left.length : newer), row];
  });
  return [...merged, ...left];
}

/** `⏸ payments paused by ann via deploys.acme.com: incident 4711`. */
function pauseText({ service, paused, by, via, reason }: PastPause, env: string): string {
  const what = `${paused ? '⏸' : '▶'} ${service ?? `all of ${env}`} ${paused ? 'paused' : 'unpaused'}`;
  const who = `by ${oneLine(by)}${via === undefined ? '' : ` via ${oneLine(via)}`}`;
  return `${what} ${who}${reason ? `: ${oneLine(reason)}` : ''}`;
}

/** The warnings of its instances, each once. */
function warningsOf({ results = {} }: PastDeployment): string[] {
  return warningTexts(Object.entries(results).map(([instance, { warning }]) => ({ instance, warning })));
}

export function historyLines(answer: HistoryAnswer): string[] {
  const pauses = answer.pauses.map((pause) => ({
    at: Date.parse(pause.at),
    line: `${pause.at} ${pauseText(pause, answer.env)}`,
  }));
  const rows = answer.deployments.map((one) => {
    const took = one.tookMs ? ` in ${formatMs(one.tookMs)}` : '';
    const change = [one.action, changeText(one), specialsText(one), badgesOf(one).join(', ')]
      .filter(Boolean)
      .join(' ');
    const facts = [
      `${one.announcedAt} ${one.service} ${one.deployment} ${change} ${one.status}${took} by ${fromText(one)}`,
      one.from.build && `build ${oneLine(one.from.build)}`,
      one.reason && `(${oneLine(one.reason)})`,
      one.status !== 'succeeded' && one.outcome && `: ${oneLine(one.outcome)}`,
      ...warningsOf(one).map((text) => `[${text}]`),
    ];
    return { at: Date.parse(one.announcedAt), line: facts.filter(Boolean).join(' ').replace(' : ', ': ') };
  });
  return inTime(rows, pauses).map(({ line }) => line);
}

/** As JSON objects: the deployments, then the pauses between them. */
export const historyJson = ({ deployments, pauses, env }: HistoryAnswer): object[] => [
  ...deployments.map((one) => ({ type: 'deployment', ...one })),
  ...pauses.map((one) => ({ type: 'pause-change', env, ...one })),
];

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

/** What is special about the deployment: it was promoted, it has waves, its automatic checks. */
function specialsText({ rolling, promotedFrom, checks }: PastDeployment): string {
  const waves = rolling?.waves.length;
  return [
    promotedFrom === undefined ? '' : `from ${promotedFrom}`,
    waves === undefined ? '' : `${waves} ${waves === 1 ? 'wave' : 'waves'}`,
    checks && !checks.skipped && checks.alarms.length > 0 ? 'alarms' : '',
    checks?.verify && !checks.skipped ? 'verify' : '',
  ]
    .filter(Boolean)
    .join(', ');
}
