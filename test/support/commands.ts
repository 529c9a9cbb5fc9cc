import type { Fleet } from './fleet/fleet.ts';
import type { Behaviour } from './fleet/sample-service/package.ts';
import type { Finished } from './programs.ts';

/** What a test needs done by the publisher before it begins: it throws when that does not succeed. */

export async function push(fleet: Fleet, version: string, behaviour?: Behaviour): Promise<Finished> {
  return succeeded(await fleet.publisher('push', 'payments', version, await fleet.pack(version, behaviour)));
}

export async function deploy(fleet: Fleet, version: string): Promise<Finished> {
  return succeeded(await fleet.publisher('payments', version, '--env', 'dev'));
}

function succeeded(finished: Finished): Finished {
  if (finished.code === 0) return finished;
  throw new Error(`exit ${finished.code}\n${finished.stdout}\n${finished.stderr}`);
}
