import { formatMs } from '../../shared/duration.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { type Pause, pauseText } from '../record/pauses.ts';
import type { Queue, QueueEntry } from './queue.ts';

/** Why a publisher may not change a service now. One place for each rule: what refuses, and what shows it beforehand. Pure. */

/** Where and when somebody wants to change a service. */
export interface Wanted {
  env: string;
  service: string;
  /** The verb: of a rollback the hint says how to ignore a pause. */
  command: string;
  now: number; // ms since the epoch
}

export function pausedError({ env, service, command, now }: Wanted, pause: Pause): TriggerDeployError {
  const scope = pause.scope === 'service' ? ` ${service}` : '';
  const unpause = `to unpause: trigger-deploy unpause${scope} --env ${env}`;
  const override = '; --despite-pause --reason WHY rolls back despite the pause';
  return new TriggerDeployError('PAUSED', pauseText(env, now, service, pause), {
    hint: command === 'rollback' ? unpause + override : unpause,
  });
}

/** `error`: LOCKED, as `take` of the lock throws it. */
export function heldError(error: TriggerDeployError): TriggerDeployError {
  const hint = `--queue waits for the lock; ${error.hint}`;
  return new TriggerDeployError('LOCKED', error.message, { cause: error, hint });
}

export function queuedError({ service, now }: Wanted, queue: Queue): TriggerDeployError {
  return new TriggerDeployError(
    'LOCKED',
    `other publishers are queued for ${service}: ${namesOf(queue, now)}`,
    {
      hint: '--queue waits behind them; --jump --reason WHY goes to the front of the queue',
    },
  );
}

/** `ann@host (deploy 1.4.2, for 3 min)`. */
export function nameOf({ who, command, version, since }: QueueEntry, now: number): string {
  const waits = formatMs(Math.max(0, now - Date.parse(since)));
  return `${who} (${[command, version].filter(Boolean).join(' ')}, for ${waits})`;
}

/** The names of the entries, five at most. */
export function namesOf(queue: Queue, now: number): string {
  const shown = queue.slice(0, 5).map((entry) => nameOf(entry, now));
  const more = queue.length > 5 ? [`${queue.length - 5} more`] : [];
  return [...shown, ...more].join(', ');
}
