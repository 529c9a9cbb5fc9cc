import type { DeploymentRecord, Rolling } from '../record/deployment-schema.ts';
import type { Pause } from '../record/pauses.ts';
import type { Session } from '../session.ts';
import { isFinal } from './record-outcome.ts';
import { isAwaiting, tell, tellOfPause } from './wave-events.ts';

/** A rollout in waves that somebody else drives, as its record shows it. */
export interface Stages {
  /** Tells what the record says and did not say when it was read last: waves, the gate, the pause. Never throws. */
  see(record: DeploymentRecord): Promise<void>;
}

/** Whoever looks for the first time is told of all that has begun, unless it is over. */
export function openStages(session: Session): Stages {
  let before: Rolling | undefined;
  let pause: Pause | undefined;
  return {
    async see(record) {
      const { rolling, service } = record;
      const over = isFinal(record);
      if (rolling === undefined || (over && before === undefined)) return;
      tell(session, record, before ?? { ...rolling, waves: [], awaitingSince: undefined }, rolling);
      before = rolling;
      if (over) return;
      try {
        const now = await session.record.pauses.of(service);
        tellOfPause(session, service, pause, now);
        pause = now;
      } catch {
        // What cannot be read now, or verified here, is as it was.
      }
    },
  };
}

/** What it waits for while its driver lives; undefined where it does not go in waves. */
export function whatItWaitsFor(record: DeploymentRecord, driver: string): string | undefined {
  const { deployment, env, rolling } = record;
  if (rolling === undefined) return undefined;
  if (!isAwaiting(record)) return `${driver} drives it on: trigger-deploy watch ${deployment} --env ${env}`;
  const whom = rolling.gate === 'time' ? 'time to pass, or a person' : 'a person';
  return `waits for ${whom}: trigger-deploy confirm ${deployment} --env ${env}`;
}
