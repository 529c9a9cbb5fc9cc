import { keys, newUlid } from '../../../shared/names.ts';
import { never, type Stage } from './stage.ts';

/** The lock of `payments` on a stage. */

export const KEY = keys.lock('dev', 'payments');

export const wanted = (signal = never()) => ({
  service: 'payments',
  command: 'deploy',
  deployment: newUlid(Date.now()),
  signal,
});

export const storedLock = (stage: Stage) =>
  stage.json(KEY) as { sequence: number; owner: { who: string; deployment: string } | null };

/** Leaves a lock whose publisher was killed: its last heartbeat was `ageMs` ago. */
export async function leaveLock(stage: Stage, ageMs: number): Promise<void> {
  const owner = {
    ...{ id: newUlid(0), who: 'mallory@ci', host: 'ci', pid: 1, command: 'deploy' },
    ...{ deployment: newUlid(0), since: new Date(0).toISOString(), beat: new Date(0).toISOString() },
  };
  const body = JSON.stringify({ v: 1, nonce: 'old', sequence: 7, owner });
  const cloudObject = stage.cloud.putObject(stage.bucket, KEY, body);
  cloudObject.lastModified.setTime(Date.now() - ageMs);
}
