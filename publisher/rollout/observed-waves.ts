import type { Checked } from '../record/check-schema.ts';
import type { DeploymentRecord, Rolling } from '../record/deployment-schema.ts';
import type { Pause } from '../record/pauses.ts';
import type { Session } from '../session.ts';
import { emitCheckChanges } from './check-events.ts';
import { isFinal } from './record-outcome.ts';
import { emitPauseChange, emitWaveChanges, isAwaiting } from './wave-events.ts';

/** An observer of a rolling deployment that another publisher drives. It learns from the record only. */
export interface ObservedWaves {
  /** Emits what changed since the last call: waves, the gate, checks, the pause. Never throws. */
  see(record: DeploymentRecord): Promise<void>;
}

/** Creates the observer. The first `see` emits all waves that have started, unless the deployment has ended. */
export function observeWaves(session: Pick<Session, 'env' | 'emit' | 'clock' | 'record'>): ObservedWaves {
  let before: Rolling | undefined;
  let checkedBefore: Checked | undefined;
  let pause: Pause | undefined;
  return {
    async see(record) {
      const { rolling, service } = record;
      const over = isFinal(record);
      if (rolling === undefined || (over && before === undefined)) return;
      emitWaveChanges(
        session,
        record,
        before ?? { ...rolling, waves: [], awaitingSince: undefined },
        rolling,
      );
      emitCheckChanges(session, record, checkedBefore);
      before = rolling;
      checkedBefore = record.checked;
      if (over) return;
      try {
        const now = await session.record.pauses.of(service);
        emitPauseChange(session, service, pause, now);
        pause = now;
      } catch {
        // A pause that cannot be read or verified now is read again next time.
      }
    },
  };
}

/** The text that says what a rolling deployment waits for; undefined for a deployment to all instances at once. */
export function waitingText(record: DeploymentRecord, publisher: string): string | undefined {
  const { deployment, env, rolling } = record;
  if (rolling === undefined) return undefined;
  if (!isAwaiting(record)) {
    return `its publisher ${publisher} is still running: trigger-deploy watch ${deployment} --env ${env}`;
  }
  const person = rolling.confirm === 'other' ? 'another person, on the console' : 'a person';
  const whom = rolling.gate === 'time' ? 'the timer or a person' : person;
  return `waiting for ${whom}: trigger-deploy confirm ${deployment} --env ${env}`;
}
