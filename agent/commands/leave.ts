import { leftRecord } from '../deploy/left-record.ts';
import type { LeaveDeps } from './deps.ts';

/** ms */
const WITHIN = 60_000;

/**
 * Takes this instance out of the environment: removes its queue and its subscription, and marks its records as left.
 * Then no deployment waits for it. Its services keep running. An agent that runs here, or starts here later, creates
 * the queue again.
 */
export async function leave({
  env,
  services,
  identify,
  removeQueue,
  putInstance,
}: LeaveDeps): Promise<string> {
  const signal = AbortSignal.timeout(WITHIN);
  const { instance, agentVersion } = await identify(signal);
  await removeQueue(instance, signal);
  for (const service of services) {
    await putInstance(leftRecord({ env, instance, agentVersion }, service, Date.now()), signal);
  }
  return `${instance} has left ${env}: queue and subscription removed; no deployment waits for it; its services keep running`;
}
