import type { Desired } from '../../shared/desired.ts';
import { formatMs } from '../../shared/duration.ts';
import { TriggerDeployError } from '../../shared/errors.ts';

/** `--if-sequence`: what a person or a build saw is what the command changes. Pure. */

export interface Seen {
  env: string;
  service: string;
  /** The sequence of the desired state that was seen; 0: there was none. Undefined: any will do. */
  ifSequence: number | undefined;
}

/**
 * @throws CHANGED unless the desired state is the one that was seen. The error says what it is now, who set it, when, and
 * what to do.
 */
export function refuseIfChanged(
  { env, service, ifSequence }: Seen,
  desired: Desired | undefined,
  now: number, // ms since the epoch
): void {
  const sequence = desired?.sequence ?? 0;
  if (ifSequence === undefined || ifSequence === sequence) return;
  const seen = ifSequence === 0 ? 'no desired state' : `the sequence ${ifSequence}`;
  const hint = `trigger-deploy history ${service} --env ${env} lists what happened; if the command is still right, repeat it with --if-sequence ${sequence}`;
  throw new TriggerDeployError(
    'CHANGED',
    `${service} in ${env} is not as it was seen (${seen}): ${nowText(desired, now)}`,
    { hint },
  );
}

function nowText(desired: Desired | undefined, now: number): string {
  if (desired === undefined) return 'it has no desired state';
  const { version, sequence, action, changedBy, changedAt, deployment } = desired;
  const ago = formatMs(Math.max(0, now - Date.parse(changedAt)));
  return `${changedBy} set ${version} at ${changedAt}, ${ago} ago (${action} ${deployment}, sequence ${sequence})`;
}
