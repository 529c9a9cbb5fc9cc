import type { Wiring } from './wiring.ts';

/** ms */
const WITHIN = 60_000;

/** Takes this instance out of the environment: its queue and subscription go, its services run on. */
export async function leave(wiring: Wiring): Promise<string> {
  const signal = AbortSignal.timeout(WITHIN);
  const { instance } = await wiring.identify(signal);
  await wiring.queueOf(instance).leave(signal);
  return `${instance} has left ${wiring.config.env}: its queue and subscription are gone, its services run on`;
}
