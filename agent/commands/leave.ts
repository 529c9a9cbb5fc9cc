import type { Wiring } from './deps.ts';

/** ms */
const WITHIN = 60_000;

/**
 * Takes this instance out of the environment: its queue and subscription go, its services run on, and no deployment
 * counts it any more. An agent that is started here again is back.
 */
export async function leave(wiring: Wiring): Promise<string> {
  const signal = AbortSignal.timeout(WITHIN);
  const { env } = wiring.config;
  const { instance, agentVersion } = await wiring.identify(signal);
  await wiring.queueOf(instance).leave(signal);
  const at = new Date().toISOString();
  for (const service of Object.keys(wiring.config.services)) {
    const about = { v: 1, env, service, instance, version: null, sequence: 0, pinned: false } as const;
    await wiring.putInstance({ ...about, agentVersion, at, leftAt: at }, signal);
  }
  return `${instance} has left ${env}: its queue and subscription are gone, no deployment waits for it, its services run on`;
}
