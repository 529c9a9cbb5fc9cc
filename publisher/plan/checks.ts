import { parseDuration } from '../../shared/duration.ts';
import type { Environment } from '../config/load.ts';
import type { AlarmState, Checks, VerifyRun } from '../record/check-schema.ts';

/** Which automatic checks a deployment must pass, and what an alarm means for it. Pure. */

/** How long the alarms are watched after the last wave unless the config says otherwise, ms. */
const WATCH_MS = 300_000;
/** How long `verify` may take unless the config says otherwise, ms. */
export const VERIFY_TIMEOUT_MS = 300_000;

/** The checks of the service in the config; undefined without any. With `skip`, none of them is made. */
export function checksOf(
  { services }: Pick<Environment, 'services'>,
  service: string,
  skip = false,
): Checks | undefined {
  const { alarms = [], watchAlarms, verify } = services[service] ?? {};
  if (alarms.length === 0 && verify === undefined) return undefined;
  return {
    alarms: alarms.map((one) => {
      const { name, insufficientData = 'ignore' } = typeof one === 'string' ? { name: one } : one;
      return { name, insufficientData };
    }),
    watchAlarmsMs: alarms.length === 0 ? 0 : durationOf(watchAlarms, WATCH_MS),
    ...(verify && {
      verify: { run: [...verify.run], timeoutMs: durationOf(verify.timeout, VERIFY_TIMEOUT_MS) },
    }),
    ...(skip && { skipped: true as const }),
  };
}

const durationOf = (text: string | undefined, byDefault: number) =>
  (text === undefined ? undefined : parseDuration(text)) ?? byDefault;

/** The checks, unless they are skipped. */
export const dueChecks = (checks: Checks | undefined): Checks | undefined =>
  checks?.skipped ? undefined : checks;

/**
 * The alarms that forbid the deployment: in ALARM, missing, in a state that this program does not know, or without data
 * where that is forbidden. `found` has the alarms that exist.
 */
export function failedAlarms(alarms: Checks['alarms'], found: readonly AlarmState[]): AlarmState[] {
  const states = new Map(found.map((one) => [one.name, one]));
  return alarms.flatMap(({ name, insufficientData }) => {
    const now = states.get(name) ?? { name, state: 'missing' };
    if (now.state === 'OK') return [];
    return now.state === 'INSUFFICIENT_DATA' && insufficientData === 'ignore' ? [] : [now];
  });
}

/** `the alarm payments-5xx is in ALARM (Threshold Crossed: …); also not OK: payments-latency`. */
export function alarmsText(failed: readonly AlarmState[]): string {
  const [first, ...others] = failed;
  if (first === undefined) return 'all alarms are OK';
  const { name, state, reason } = first;
  const is = state === 'missing' ? 'does not exist' : `is in ${state}`;
  const why = reason ? ` (${reason})` : '';
  const also = others.length === 0 ? '' : `; also not OK: ${others.map((one) => one.name).join(', ')}`;
  return `the alarm ${name} ${is}${why}${also}`;
}

/** `after the canary`, `after the last wave`. */
export const phaseText = (phase: VerifyRun['phase']) =>
  phase === 'canary' ? 'after the canary' : 'after the last wave';
