import { formatMs } from '../../shared/duration.ts';
import type { PublisherEvent } from '../events.ts';
import type { Checked, Checks, VerifyRun } from '../record/check-schema.ts';
import type { PastDeployment } from '../record/local-deployment.ts';
import { localTime, oneLine, tailLines } from './text.ts';

/** The automatic checks of a deployment as text. Pure. */

type CheckEvent = Extract<PublisherEvent, { type: 'check' }>;

const WHEN = { canary: 'after the canary', last: 'after the last wave' } as const;
/** Lines of the output that a failed `verify` shows at once; `trigger-deploy show` has all that is kept. */
const TAIL = 20;

/** `verify after the canary`, `alarms`. */
export const checkName = ({ check, phase = 'last' }: Pick<CheckEvent, 'check' | 'phase'>): string =>
  check === 'verify' ? `verify ${WHEN[phase]}` : 'alarms';

/** `verify after the canary failed: exit code 3`, and the end of its output below. */
export function checkLines({ check, state, phase, until, text, output, at }: CheckEvent): string[] {
  if (check === 'verify') {
    const what = checkName({ check, phase });
    if (state === 'started') return [`${what} runs: ${oneLine(text)}`];
    if (state === 'passed') return [`${what} passed`];
    return [`${what} failed: ${oneLine(text)}`, ...outputLines(output, TAIL)];
  }
  if (state === 'failed') return [`alarms: ${oneLine(text)}`];
  const left = until === undefined ? '' : ` for ${formatMs(Math.max(0, until - at))}`;
  return [`all waves have passed; watching the alarms${left}: ${oneLine(text)}`];
}

function outputLines(output: string | undefined, most = Number.POSITIVE_INFINITY): string[] {
  return tailLines(output ?? '')
    .slice(-most)
    .map((line) => `  | ${line}`);
}

/** `alarms payments-5xx, payments-latency (fails without data), watched for 10 min after the last wave`. */
export function demandText(checks: Checks): string {
  const { alarms, watchAlarmsMs, verify } = checks;
  const names = alarms.map(({ name, insufficientData }) =>
    insufficientData === 'fail' ? `${oneLine(name)} (fails without data)` : oneLine(name),
  );
  const watched = watchAlarmsMs > 0 ? `, watched for ${formatMs(watchAlarmsMs)} after the last wave` : '';
  return [
    alarms.length === 0 ? '' : `${alarms.length === 1 ? 'alarm' : 'alarms'} ${names.join(', ')}${watched}`,
    verify === undefined
      ? ''
      : `verify: ${oneLine(verify.run.join(' '))} (${formatMs(verify.timeoutMs)} at most)`,
  ]
    .filter(Boolean)
    .join('; ');
}

/** One run of `verify` in the record: `after the canary: passed in 4.2 s`. */
function runText({ phase, startedAt, run, endedAt, passed, why }: VerifyRun): string {
  const other = run === undefined ? '' : ` (${oneLine(run.join(' '))})`;
  if (endedAt === undefined) return `${WHEN[phase]}: did not end${other}`;
  const took = formatMs(Math.max(0, Date.parse(endedAt) - Date.parse(startedAt)));
  const verdict = passed ? `passed in ${took}` : `failed after ${took}: ${oneLine(why ?? '')}`;
  return `${WHEN[phase]}: ${verdict}${other}`;
}

/** What was demanded of a deployment, and what it gave, by name. */
export function checkFacts({ checks, checked }: PastDeployment): [string, string][] {
  if (checks === undefined) return [];
  const { verify = [], alarms, watchingSince } = checked ?? {};
  return [
    [checks.skipped ? 'skipped checks' : 'checks', demandText(checks)],
    ...verify.map((run): [string, string] => ['verify', runText(run)]),
    ...(watchingSince === undefined
      ? []
      : [['watched', `since ${localTime(Date.parse(watchingSince))}`] as [string, string]]),
    ...(alarms === undefined ? [] : [['alarms', alarmsText(alarms)] as [string, string]]),
  ];
}

const alarmsText = ({ at, failed }: NonNullable<Checked['alarms']>) =>
  `${failed.map(({ name, state, reason }) => oneLine(`${name} ${state}${reason ? ` (${reason})` : ''}`)).join(', ')} at ${localTime(Date.parse(at))}`;

/** The output of the runs of `verify` that failed, each line marked. */
export function failedRunLines({ checked }: PastDeployment): string[] {
  const failed = checked?.verify?.filter(({ passed }) => passed === false) ?? [];
  return failed.flatMap((run) => [`output of verify ${WHEN[run.phase]}:`, ...outputLines(run.output)]);
}
