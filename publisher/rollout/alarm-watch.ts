import { TriggerDeployError } from '../../shared/errors.ts';
import { createWakeUp } from '../../shared/wake-up.ts';
import type { Alarms } from '../checks/cloudwatch.ts';
import { alarmsText, dueChecks, failedAlarms } from '../plan/checks.ts';
import type { AlarmState, Checks } from '../record/check-schema.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Session } from '../session.ts';
import { type AlarmFacts, FRESH_MS } from './next-check.ts';
import type { RetryOutage } from './retry-outage.ts';

/** Reads the alarms of a deployment: once before it begins, and again and again while it runs. */

/** The pause between two reads, ms. */
const POLL_MS = 15_000;

/** Opens the alarms of `checks`. Only here CloudWatch's client is loaded. */
async function openAlarmsOf({ aws }: Pick<Session, 'aws'>, { alarms }: Checks): Promise<Alarms> {
  const { openAlarms } = await import('../checks/cloudwatch.ts');
  return openAlarms(
    aws,
    alarms.map(({ name }) => name),
  );
}

/**
 * Refuses a deployment whose alarms forbid it. Nothing was announced.
 * @throws ALARMS_NOT_OK; AWS_* when they cannot be read.
 */
export async function refuseIfAlarmed(session: Session, service: string, checks: Checks): Promise<void> {
  if (checks.alarms.length === 0) return;
  const reader = await openAlarmsOf(session, checks);
  try {
    const failed = failedAlarms(checks.alarms, await reader.read(session.signal));
    if (failed.length === 0) return;
    const isMissing = failed[0]?.state === 'missing';
    throw new TriggerDeployError('ALARMS_NOT_OK', `${service} is not deployed: ${alarmsText(failed)}`, {
      hint: isMissing
        ? `correct alarms in trigger-deploy.yaml, environments.${session.env.name}.services.${service}: an alarm is looked for in the account and the region of the environment`
        : 'deploy when the alarms are OK; trigger-deploy rollback is never refused, and in an emergency --skip-checks --reason "…" makes no checks',
    });
  } finally {
    reader.close();
  }
}

/** The alarms now: as a text, each as it is, and whether they forbid a deployment. */
export interface AlarmsNow {
  text: string;
  refused: boolean;
  alarms: AlarmState[];
}

/** Reads the alarms once, for a person. That they cannot be read is a part of the answer. */
export async function lookAtAlarms(
  session: Session,
  checks: Checks | undefined,
): Promise<AlarmsNow | undefined> {
  const due = dueChecks(checks);
  if (due === undefined || due.alarms.length === 0) return undefined;
  const reader = await openAlarmsOf(session, due);
  try {
    const alarms = await reader.read(session.signal);
    const failed = failedAlarms(due.alarms, alarms);
    return { text: alarmsText(failed), refused: failed.length > 0, alarms };
  } catch (error) {
    const isAnswer = error instanceof TriggerDeployError && error.code !== 'INTERRUPTED';
    if (!isAnswer) throw error;
    return { text: error.message, refused: true, alarms: [] };
  } finally {
    reader.close();
  }
}

export interface AlarmWatch {
  /** What is known now; undefined before the first answer. */
  facts(): AlarmFacts | undefined;
  /** Ends the pause before the next read. */
  hurry(): void;
  /** @throws why the alarms are no longer read. */
  assertRunning(): void;
  /** Resolves when the watch has ended, after `stop` aborted. Never rejects. */
  ended: Promise<void>;
}

/**
 * Reads the alarms every 15 s until `stop` aborts. While AWS does not answer, it is asked again as `retryOutage` says;
 * after that time `assertRunning` throws, and the rollout stops where it is: nobody knows whether the version is good or bad.
 * Undefined when the deployment has no alarms.
 */
export function watchAlarms(
  session: Session,
  { checks }: Pick<DeploymentRecord, 'checks'>,
  { retryOutage, stop }: { retryOutage: RetryOutage; stop: AbortSignal },
): AlarmWatch | undefined {
  const due = dueChecks(checks);
  if (due === undefined || due.alarms.length === 0) return undefined;
  const { clock } = session;
  let known: { askedAt: number; steadySince: number; failed: AlarmFacts['failed'] } | undefined;
  let failure: unknown;
  const pause = createWakeUp();

  async function read(reader: Alarms, { alarms }: Checks): Promise<void> {
    await retryOutage(async () => {
      const askedAt = clock.monotonic();
      const failed = failedAlarms(alarms, await reader.read(stop));
      const isSteady = known !== undefined && askedAt - known.askedAt <= FRESH_MS;
      // What was before the answer is not known: the answer may have come late.
      const steadySince = isSteady && known ? known.steadySince : clock.monotonic();
      known = { askedAt, steadySince, failed };
    });
  }

  async function loop(demanded: Checks): Promise<void> {
    const reader = await openAlarmsOf(session, demanded);
    try {
      for (;;) {
        await read(reader, demanded);
        await pause.wait(stop, { clock, ms: POLL_MS });
        stop.throwIfAborted();
      }
    } finally {
      reader.close();
    }
  }

  const ended = loop(due).catch((error: unknown) => {
    if (!stop.aborted) failure = error;
  });
  return {
    ended,
    hurry: pause.wake,
    assertRunning() {
      if (failure !== undefined) throw failure;
    },
    facts() {
      if (known === undefined) return undefined;
      const now = clock.monotonic();
      return { ageMs: now - known.askedAt, steadyMs: now - known.steadySince, failed: known.failed };
    },
  };
}
