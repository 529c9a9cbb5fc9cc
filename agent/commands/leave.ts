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
  const at = new Date().toISOString();
  for (const service of services) {
    const record = { v: 1, env, service, instance, version: null, sequence: 0, pinned: false } as const;
    await putInstance({ ...record, agentVersion, at, leftAt: at }, signal);
  }
  return `${instance} has left ${env}: queue and subscription removed; no deployment waits for it; its services keep running`;
}
