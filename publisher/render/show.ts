import { formatMs } from '../../shared/duration.ts';
import type { Report } from '../../shared/report.ts';
import { shellLine } from '../../shared/shell-line.ts';
import { SPANS } from '../../shared/spans.ts';
import { isEnding, STEPS } from '../../shared/states.ts';
import type { ShowAnswer } from '../commands/show.ts';
import type { Rolling } from '../record/deployment-schema.ts';
import type { PastDeployment } from '../record/local-deployment.ts';
import { badgesOf } from './badges.ts';
import { checkFacts, failedRunLines } from './check-text.ts';
import { confirmedText, decisionText, waitingFor } from './decided-text.ts';
import type { Row } from './deployment-view.ts';
import { failureBlocks, failureLines, instancesText } from './failure-text.ts';
import { forgottenText } from './forgotten-text.ts';
import { changeText, fromText, OUTCOMES } from './history.ts';
import { reportText } from './lines.ts';
import type { Page } from './page.ts';
import { aligned, bytesText, localTime, oneLine, type Span } from './text.ts';
import { warningTexts } from './warning-text.ts';
import { styleOf, versionsText } from './words.ts';

/** One deployment: who, when, from where, why, its waves, its instances and its failures. Pure. */

export function showTable(answer: ShowAnswer, page: Page): string[] {
  const { deployment, reports } = answer;
  const { glyph, tone } = OUTCOMES[deployment.status];
  const took = deployment.tookMs ? ` in ${formatMs(deployment.tookMs)}` : '';
  const facts = factsOf(answer).filter(([, value]) => value !== undefined);
  const rows = facts.map(([name, value]) => [
    { text: name, tone: 'dim' as const },
    { text: oneLine(value ?? '') },
  ]);
  const head = `${deployment.service} ${changeText(deployment)} in ${deployment.env} · ${deployment.deployment}`;
  return [
    page.paint('strong', head),
    '',
    `  ${page.paint(tone, `${glyph} ${deployment.status}`)}${took}`,
    ...aligned(rows, page),
    ...waves(deployment, page),
    '',
    ...instances(answer, page),
    ...timings(reports, page),
    ...spans(answer, page),
    ...failedRunLines(deployment).flatMap((text, i) => [...(i === 0 ? [''] : []), `  ${text}`]),
    ...warningTexts(reports).flatMap((text) => ['', page.paint('warn', `  ${text}`)]),
    ...failureBlocks(reports, page),
  ];
}

function factsOf({ deployment, decisions, url }: ShowAnswer): [string, string | undefined][] {
  const { from, settledAt, targets, promotedFrom } = deployment;
  const who = `${from.user}@${from.host}`;
  const waiting = waitingFor(deployment, decisions);
  return [
    ['announced', localTime(Date.parse(deployment.announcedAt))],
    ['settled', settledAt && localTime(Date.parse(settledAt))],
    ['by', fromText(deployment)],
    ['from', deployment.issuedBy === who || deployment.local ? undefined : who],
    ['verified', from.verified && `${from.verified.sub}, by ${from.verified.iss}`],
    ['command', from.argv && shellLine(['trigger-deploy', ...from.argv])],
    ['build', from.build],
    ['page', url],
    ['resumed by', resumedText(deployment)],
    ['reason', deployment.reason],
    ['note', badgesOf(deployment).join(', ') || undefined],
    ['promoted from', promotedFrom],
    ['waited', waitedText(deployment)],
    ['despite pause', pausedText(deployment)],
    ['strategy', strategyText(deployment)],
    ...checkFacts(deployment),
    ['only', targets && instancesText(targets)],
    ['sequence', String(deployment.sequence)],
    ['confirmed', confirmedText(deployment.rolling, decisions)],
    [
      'waiting',
      waiting && `since ${localTime(Date.parse(deployment.rolling?.awaitingSince ?? ''))} ${waiting}`,
    ],
    ['cancelled', decisions.cancel && decisionText(decisions.cancel)],
    ['outcome', deployment.outcome],
    ['rollback of', deployment.rollbackOf],
    ['rolled back by', deployment.rolledBackBy],
    ['artifacts', artifactsText(deployment)],
    [
      'unsigned',
      deployment.unsigned && 'written before records were signed: it is shown only, and proves nothing',
    ],
  ];
}

function resumedText({ resumedBy, resumedVia }: PastDeployment): string | undefined {
  return resumedBy && `${resumedBy}${resumedVia === undefined ? '' : `, via ${resumedVia}`}`;
}

function strategyText({ strategy, rolling, policy }: PastDeployment): string | undefined {
  if (strategy === undefined) return undefined;
  const parts: string[] = [strategy];
  if (rolling?.gate === 'person')
    parts.push(
      rolling.confirm === 'other' ? 'waits for another person to confirm' : 'waits for confirmation',
    );
  if (rolling?.gate === 'time')
    parts.push(`continues by itself after ${formatMs(rolling.autoConfirmMs ?? 0)}`);
  if (rolling && rolling.pauseBetweenMs > 0) parts.push(`${formatMs(rolling.pauseBetweenMs)} between waves`);
  if (policy) {
    parts.push(
      `${policy.maxFailures} may fail, ${policy.allowMissing} may be missing, else ${policy.onFailure}`,
    );
  }
  return parts.join('; ');
}

function waitedText({ line }: PastDeployment): string | undefined {
  if (line === undefined) return undefined;
  const { jumped, overtook = [] } = line;
  const past = overtook.length > 0 ? `, past ${overtook.join(', ')}` : '';
  return `${formatMs(line.waitedMs)} in the queue${jumped === undefined ? '' : `, at the front${past}: ${jumped}`}`;
}

function pausedText({ despitePause: pause }: PastDeployment): string | undefined {
  return pause && `of ${pause.by} since ${localTime(Date.parse(pause.since))}: ${pause.reason}`;
}

function artifactsText({ artifacts }: PastDeployment): string | undefined {
  if (artifacts.length === 0) return undefined;
  return artifacts.map(({ name, size }) => `${name} (${bytesText(size)})`).join(', ');
}

/** Each wave with its times and its instances. */
function waves({ rolling }: PastDeployment, page: Page): string[] {
  if (rolling === undefined) return [];
  const prepared: Span[][] =
    rolling.preparedAt === undefined
      ? []
      : [[{ text: 'prepared' }, { text: '' }, { text: localTime(Date.parse(rolling.preparedAt)) }]];
  const rows = rolling.waves.map((wave, i): Span[] => [
    { text: `wave ${i + 1}` },
    { text: wave.kind },
    { text: wave.announcedAt === undefined ? 'not started' : localTime(Date.parse(wave.announcedAt)) },
    { text: waveTook(wave), tone: wave.announcedAt && !wave.passedAt ? 'warn' : undefined },
    { text: instancesText(wave.instances), tone: 'dim' },
  ]);
  const over = [
    rolling.failed.length > 0 ? `  failed, within --max-failures: ${instancesText(rolling.failed)}` : '',
    rolling.missing.length > 0 ? `  missing, within --allow-missing: ${instancesText(rolling.missing)}` : '',
  ].filter(Boolean);
  return ['', ...aligned([...prepared, ...rows], page), ...over];
}

function waveTook({ announcedAt, passedAt }: Rolling['waves'][number]): string {
  if (announcedAt === undefined) return '';
  if (passedAt === undefined) return 'did not pass';
  return formatMs(Math.max(0, Date.parse(passedAt) - Date.parse(announcedAt)));
}

const rowOf = (report: Report): Row => {
  const { instance, zone, state, version, previous } = report;
  return { instance, zone, state, version, previous, report, reportedAt: undefined };
};

function instances(answer: ShowAnswer, page: Page): string[] {
  const table = aligned(
    answer.reports.map(rowOf).map((row) => {
      const total = Object.values(row.report?.timings ?? {}).reduce((sum, ms) => sum + ms, 0);
      const { glyph, tone } = styleOf(row.state);
      return [
        { text: row.instance },
        { text: oneLine(row.zone ?? ''), tone: 'dim' as const },
        { text: `${glyph} ${row.state}`, tone },
        { text: versionsText(row) },
        { text: total > 0 ? formatMs(total) : '' },
      ];
    }),
    page,
  );
  const missing = unheardOf(answer).map(({ instance, gone }) =>
    gone
      ? page.paint('warn', `  ${instance}  – ${forgottenText(gone)}`)
      : page.paint('bad', `  ${instance}  ? silent: never answered`),
  );
  return [...table, ...missing];
}

/** The instances without a report, and why they were not waited for; with `show --instance`, only that instance. */
function unheardOf({ deployment, reports, instance: only }: ShowAnswer) {
  const { expected, forgotten = [] } = deployment;
  const reported = new Set(reports.map(({ instance }) => instance));
  const gone = new Map(forgotten.map((one) => [one.instance, one]));
  return [...new Set([...expected, ...gone.keys()])]
    .filter((instance) => !reported.has(instance) && (only === undefined || instance === only))
    .map((instance) => ({ instance, gone: gone.get(instance) }));
}

/** The time of each step on each instance; a step that no instance took is left out. */
function timings(reports: readonly Report[], page: Page): string[] {
  return timesTable(
    '',
    STEPS,
    reports.map(({ instance, timings }) => ({ instance, times: timings })),
    page,
  );
}

/** The parts of the steps and what is around them, on each instance; a part that no instance has is left out. */
function spans({ deployment, reports }: ShowAnswer, page: Page): string[] {
  const rows = reports.map((report) => ({ instance: report.instance, times: spansOf(deployment, report) }));
  const table = timesTable('of it', SPAN_NAMES, rows, page);
  const settle = settleMs(deployment);
  if (table.length === 0 || settle === undefined) return table;
  return [...table, `  settled ${formatMs(settle)} after the last report`];
}

/** A row for each instance, and a column for each name that one of them has a time of; nothing if none has any. */
function timesTable<N extends string>(
  title: string,
  names: readonly N[],
  rows: readonly { instance: string; times: { readonly [name in N]?: number | undefined } }[],
  page: Page,
): string[] {
  const columns = names.filter((name) => rows.some(({ times }) => times[name] !== undefined));
  if (columns.length === 0) return [];
  const head: Span[] = [title, ...columns].map((text) => ({ text, tone: 'dim' }));
  const body = rows.map(({ instance, times }): Span[] => [
    { text: instance },
    ...columns.map((name) => ({ text: times[name] === undefined ? '–' : formatMs(times[name]) })),
  ]);
  return ['', ...aligned([head, ...body], page)];
}

const SPAN_NAMES = [...SPANS, 'report'] as const;

/** `report` is the time from the ending on the instance until the publisher had it: two clocks, both set by AWS's. */
function spansOf(
  { announcedAt, results }: PastDeployment,
  { instance, at, spans = {} }: Report,
): Partial<Record<(typeof SPAN_NAMES)[number], number>> {
  const heardMs = results?.[instance]?.heardMs;
  if (heardMs === undefined) return spans;
  return { ...spans, report: Math.max(0, heardMs - (Date.parse(at) - Date.parse(announcedAt))) };
}

/** From the last report that the publisher had until it recorded the outcome, ms. */
function settleMs({ announcedAt, settledAt, results = {} }: PastDeployment): number | undefined {
  const heard = Object.values(results).flatMap(({ heardMs }) => (heardMs === undefined ? [] : [heardMs]));
  if (settledAt === undefined || heard.length === 0) return undefined;
  return Math.max(0, Date.parse(settledAt) - Date.parse(announcedAt) - Math.max(...heard));
}

export function showLines(answer: ShowAnswer): string[] {
  const { deployment, reports, decisions } = answer;
  const { service, status, announcedAt, rolling, from } = deployment;
  const id = deployment.deployment;
  const outcome = deployment.outcome ? `: ${oneLine(deployment.outcome)}` : '';
  const build = from.build ? ` build ${oneLine(from.build)}` : '';
  const promoted = deployment.promotedFrom ? ` from ${deployment.promotedFrom}` : '';
  const reason = deployment.reason ? ` (${oneLine(deployment.reason)})` : '';
  const decided = Object.entries(decisions).flatMap(([kind, one]) =>
    one
      ? [
          `${one.at} ${service} ${id} ${kind} by ${oneLine(one.by)}${one.reason ? `: ${oneLine(one.reason)}` : ''}`,
        ]
      : [],
  );
  const waveLines = rolling?.waves.map((wave, i) => {
    const took = wave.passedAt === undefined ? waveTook(wave) : `passed in ${waveTook(wave)}`;
    const when = wave.announcedAt ?? 'not started';
    return `${when} ${service} ${id} wave ${i + 1} of ${rolling.waves.length} ${wave.kind} ${wave.instances.join(' ')} ${took}`.trimEnd();
  });
  const waiting = waitingFor(deployment, decisions);
  return [
    `${announcedAt} ${service} ${id} ${deployment.action} ${changeText(deployment)} ${status}${promoted} by ${fromText(deployment)}${build}${reason}${outcome}`,
    ...decided,
    ...(waiting === undefined ? [] : [`${rolling?.awaitingSince} ${service} ${id} waiting ${waiting}`]),
    ...(waveLines ?? []),
    ...checkFacts(deployment).map(([name, text]) => `${service} ${id} ${name} ${text}`),
    ...failedRunLines(deployment),
    ...reports.map((report) => {
      const unfinished = isEnding(report.state) ? '' : ' not ended';
      return `${report.at} ${reportText(report)}${unfinished}`;
    }),
    ...unheardOf(answer).map(
      ({ instance, gone }) => `${service} ${instance} ${gone ? forgottenText(gone) : 'silent'}`,
    ),
    ...failureLines(reports, `${service} `),
  ];
}
