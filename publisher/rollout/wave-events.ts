import { note } from '../events.ts';
import { gateBefore } from '../plan/waves.ts';
import type { DeploymentRecord, Rolling } from '../record/deployment-schema.ts';
import { type Pause, pauseText } from '../record/pauses.ts';
import type { Session } from '../session.ts';

/** What people are told of a rollout in waves: of its steps, and of a pause that it meets. */

/** Whether it waits at its gate. */
export const isAwaiting = ({ rolling }: DeploymentRecord) =>
  rolling?.awaitingSince !== undefined && rolling.confirmed === undefined;

/** Says what has changed in the record. */
export function tell(session: Session, record: DeploymentRecord, before: Rolling, now: Rolling): void {
  const at = session.clock.now();
  const { deployment, env } = record;
  const of = now.waves.length;
  for (const [i, { kind, instances, announcedAt }] of now.waves.entries()) {
    if (announcedAt === undefined || before.waves[i]?.announcedAt !== undefined) continue;
    session.emit({ type: 'wave', at, deployment, wave: i + 1, of, kind, instances });
  }
  if (now.awaitingSince !== undefined && now.confirmed === undefined && before.awaitingSince === undefined) {
    const until = now.gate === 'time' ? Date.parse(now.awaitingSince) + (now.autoConfirmMs ?? 0) : undefined;
    const command = `trigger-deploy confirm ${deployment} --env ${env}`;
    session.emit({ type: 'waiting', at, deployment, after: gateBefore(now) ?? 0, until, command });
  }
  if (now.confirmed !== undefined && before.confirmed === undefined) {
    const { by } = now.confirmed;
    const text = by === 'time' ? 'nothing failed in the meantime: it goes on' : `confirmed by ${by}`;
    note(session, text);
  }
}

/** Says that somebody paused it, or lifted the pause; nothing where nothing has changed. */
export function tellOfPause(
  session: Session,
  service: string,
  before: Pause | undefined,
  now: Pause | undefined,
): void {
  if ((before === undefined) === (now === undefined)) return;
  const text = now
    ? `${pauseText(session.env.name, session.clock.now(), service, now)}; nobody else is told to switch until it is lifted`
    : 'no longer paused: it goes on';
  note(session, text, now ? 'warning' : 'info');
}
