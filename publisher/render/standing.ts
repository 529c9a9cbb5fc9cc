import type { StandingAnswer } from '../commands/standing.ts';
import type { Standing } from '../record/standing.ts';
import type { Page } from './page.ts';
import { aligned, lineOf, localTime, oneLine, type Span } from './text.ts';

/** What was desired where at a time. Pure. */

type Place = Standing & { env: string };

const placesOf = ({ environments }: StandingAnswer): Place[] =>
  environments
    .flatMap(({ env, services }) => services.map((one) => ({ env, ...one })))
    .sort((a, b) => (a.service < b.service ? -1 : a.service > b.service ? 1 : 0));

const troublesOf = ({ environments }: StandingAnswer) =>
  environments.flatMap(({ env, trouble }) => (trouble ? [{ env, trouble }] : []));

/** The time in UTC, as it was asked, and on the clock of the reader. */
const timeText = (time: number) =>
  `${new Date(time).toISOString().replace('.000Z', 'Z')} (${localTime(time)} here)`;

export function standingTable(answer: StandingAnswer, page: Page): string[] {
  const rows = placesOf(answer).map((one): Span[] => [
    { text: one.service, tone: 'strong' },
    { text: one.env },
    { text: versionText(one), tone: one.unknown === undefined ? undefined : 'warn' },
    { text: sinceText(one), tone: 'dim' },
    { text: underWayText(one), tone: 'busy' },
    { text: oneLine(one.unknown ?? ''), tone: 'warn' },
  ]);
  const troubles = troublesOf(answer).map(({ env, trouble }) =>
    lineOf(
      [{ text: `  ${env} cannot be read: ${oneLine(trouble.message)}`, tone: 'bad' }],
      page.columns,
      page.paint,
    ),
  );
  return [
    page.paint('strong', `at ${timeText(answer.time)}`),
    '',
    ...(rows.length > 0 ? aligned(rows, page) : ['  nothing had been deployed']),
    ...troubles,
  ];
}

/** `2026-11-01T14:02:00.000Z payments prd 1.4.1 since … by ann (01M7…)`. */
export function standingLines(answer: StandingAnswer): string[] {
  const time = new Date(answer.time).toISOString();
  const lines = placesOf(answer).map((one) =>
    [
      time,
      one.service,
      one.env,
      versionText(one),
      sinceText(one),
      underWayText(one),
      oneLine(one.unknown ?? ''),
    ]
      .filter(Boolean)
      .join(' '),
  );
  const troubles = troublesOf(answer).map(
    ({ env, trouble }) => `${time} ${env} cannot be read: ${trouble.code}: ${oneLine(trouble.message)}`,
  );
  return [...lines, ...troubles];
}

export function standingJson(answer: StandingAnswer): object[] {
  const at = new Date(answer.time).toISOString();
  return [
    ...placesOf(answer).map(({ since, ...one }) => ({
      ...{ type: 'standing', at, ...one },
      ...(since !== undefined && { since: new Date(since).toISOString() }),
    })),
    ...troublesOf(answer).map(({ env, trouble: { code, message, hint } }) => ({
      ...{ type: 'unreachable', at, env, code, message, hint },
    })),
  ];
}

const versionText = ({ version, unknown }: Place) =>
  unknown === undefined ? (version ?? 'no version') : 'not known';

function sinceText({ since, by, deployment }: Place): string {
  if (since === undefined) return '';
  return `since ${localTime(since)} by ${oneLine(by ?? '')} (${deployment})`;
}

function underWayText({ underWay }: Place): string {
  if (underWay === undefined) return '';
  const { action, version, by, deployment } = underWay;
  return `${action} of ${version} under way, by ${oneLine(by)} (${deployment})`;
}
