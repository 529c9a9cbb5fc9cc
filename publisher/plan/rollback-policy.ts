import type { DeploymentRecord } from '../record/deployment-schema.ts';

/** Whether those that have switched go back when a deployment does not pass, and what a person is told of it. Pure. */

type Changing = Pick<DeploymentRecord, 'action' | 'policy' | 'previous' | 'version' | 'targets'>;

/** Why they stay where they are; undefined where they go back. */
export function whyNoWayBack({ action, policy, previous, version, targets }: Changing): string | undefined {
  if (action === 'restart') return 'a restart changes no version';
  if (action === 'rollback') return 'it is a rollback itself';
  if (policy.onFailure === 'stop') return '--on-failure stop';
  // Of some instances it is what they all ran, by their own records.
  if (previous === null)
    return targets ? 'they ran different versions, or nothing' : 'nothing was deployed before';
  return previous === version ? `it was ${version} before` : undefined;
}

/** What becomes of them when a rollout in waves is called off. */
export function whenCalledOff(record: Changing & Pick<DeploymentRecord, 'rolling'>): string {
  if (!record.rolling?.waves.some((wave) => wave.announcedAt)) return 'nobody has switched';
  const why = whyNoWayBack(record);
  return why === undefined
    ? `what has switched goes back to ${record.previous}`
    : `what has switched stays (${why})`;
}
