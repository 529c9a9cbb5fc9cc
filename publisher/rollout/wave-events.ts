import { note } from '../events.ts';
import { gateBefore } from '../plan/waves.ts';
import type { DeploymentRecord, Rolling } from '../record/deployment-schema.ts';
import { type Pause, pauseText } from '../record/pauses.ts';
import { deploymentUrl } from '../render/address.ts';
import type { Session } from '../session.ts';
import type { Output } from './driving.ts';

/** The events of a rolling deployment: a wave starts, it waits at the gate, the service is paused or unpaused. */

/** Whether the deployment waits at its gate. */
export const isAwaiting = ({ rolling }: DeploymentRecord) =>
  rolling?.awaitingSince !== undefined && rolling.confirmed === undefined;

/** Emits what has changed between two states of the record. */
export function emitWaveChanges(
  { emit, clock, env: { consoleUrl } }: Output & Pick<Session, 'env'>,
  { deployment, env, service }: DeploymentRecord,
  before: Rolling,
  now: Rolling,
): void {
  const at = clock.now();
  const of = now.waves.length;
  for (const [i, { kind, instances, announcedAt }] of now.waves.entries()) {
    if (announcedAt === undefined || before.waves[i]?.announcedAt !== undefined) continue;
    emit({ type: 'wave', at, deployment, wave: i + 1, of, kind, instances });
  }
  if (now.awaitingSince !== undefined && now.confirmed === undefined && before.awaitingSince === undefined) {
    const until = now.gate === 'time' ? Date.parse(now.awaitingSince) + (now.autoConfirmMs ?? 0) : undefined;
    const command = `trigger-deploy confirm ${deployment} --env ${env}`;
    const url = deploymentUrl(consoleUrl, { env, service, deployment }, 'confirm');
    emit({
      type: 'waiting',
      at,
      deployment,
      after: gateBefore(now) ?? 0,
      until,
      command,
      confirm: now.confirm,
      ...(url !== undefined && { url }),
    });
  }
  if (now.confirmed !== undefined && before.confirmed === undefined) {
    const { by } = now.confirmed;
    note({ emit, clock }, by === 'time' ? 'no failure during the wait; continuing' : `confirmed by ${by}`);
  }
}

/** Emits a note when the service was paused or unpaused. */
export function emitPauseChange(
  session: Pick<Session, 'env' | 'emit' | 'clock'>,
  service: string,
  before: Pause | undefined,
  now: Pause | undefined,
): void {
  if ((before === undefined) === (now === undefined)) return;
  const text = now
    ? `${pauseText(session.env.name, session.clock.now(), service, now)}; no further instance switches until unpaused`
    : 'unpaused; continuing';
  note(session, text, now ? 'warning' : 'info');
}
