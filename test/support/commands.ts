import type { Fleet } from './fleet/fleet.ts';
import type { Behaviour } from './fleet/sample-service/package.ts';
import { openSetup, type Setup } from './fleet/setup.ts';

/** What a test needs pushed or deployed before it begins, within its own process: each throws when it does not succeed. */

const setups = new WeakMap<Fleet, Promise<Setup>>();

/** One session for each fleet. Its connections end with the fleet's cloud. */
export function setupOf(fleet: Fleet): Promise<Setup> {
  const setup = setups.get(fleet) ?? openSetup(fleet);
  setups.set(fleet, setup);
  return setup;
}

export async function push(fleet: Fleet, version: string, behaviour?: Behaviour): Promise<void> {
  await (await setupOf(fleet)).pushed('payments', version, behaviour);
}

export async function deploy(fleet: Fleet, version: string): Promise<void> {
  await (await setupOf(fleet)).rolledOut('payments', version);
}
