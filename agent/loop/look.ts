import type { Changes } from '../../shared/changes.ts';
import type { DesiredStates } from '../deploy/converge.ts';
import type { ChangesStore } from '../deploy/ports.ts';
import type { ServiceWorker } from '../deploy/worker.ts';
import { convergeAll } from './converge-all.ts';
import { type RepeatParts, repeat, withJitter } from './repeat.ts';

/**
 * Looks for desired states that no announcement told of: at the start at all of them, then at those that the list of
 * changes names. Each is looked at once in a while all the same, because the list is not signed, and an older publisher
 * does not write it.
 */
export interface LookParts extends RepeatParts {
  workers: ReadonlyMap<string, ServiceWorker>;
  changes: ChangesStore;
  desired: DesiredStates;
}

/** ms */
const LOOK_EVERY = 5 * 60 * 1000;
const LOOK_AGAIN_AFTER = 60 * 1000;
/** The list is read at each second look. */
const READ_AT_EACH = 2;
/** How often a desired state that the list names is looked for: the list is written first, and its writer may have died. */
const LOOKS = 3;
/** In this time, ms, each service is looked at once; but not more than one service in `TURN_AT_LEAST`. */
const ALL_IN = 20 * 60 * 60 * 1000;
const TURN_AT_LEAST = 30 * 60 * 1000;

/** How often a service was looked at since the list named this nonce; the nonce is empty if the list does not name it. */
interface Looked {
  nonce: string;
  times: number;
}

/**
 * Whether the desired state of a service has to be read. Without a list, it has to be read each time. Pure.
 * @param known the nonce of the desired state that was read last.
 */
export function isDue(
  service: string,
  changes: Changes | undefined,
  { known, looked }: { known: string | undefined; looked: Looked | undefined },
): boolean {
  if (changes === undefined) return true;
  const nonce = changes.get(service) ?? '';
  return nonce !== known && (looked?.nonce !== nonce || looked.times < LOOKS);
}

/** Runs until `stopping` aborts. Calls `onMissed` after it found a change that no announcement told of. */
export async function lookForChanges(
  parts: LookParts,
  stopping: AbortSignal,
  onMissed: () => void,
): Promise<void> {
  const { workers, desired } = parts;
  const looked = new Map<string, Looked>();
  let changes: Changes | undefined;
  const nonceOf = (service: string) => desired.known(service)?.nonce;

  /** What the list names, and what only the state of this instance kept from being converged on. */
  async function due(): Promise<string[]> {
    const looks = [...workers].map(async ([service, worker]) => {
      const known = desired.known(service);
      const isNamed = isDue(service, changes, { known: known?.nonce, looked: looked.get(service) });
      // Read again even so: there may be a newer one. What cannot be told here fails there, and for this service only.
      const isBehind = async () => known !== undefined && (await worker.isBehind(known).catch(() => true));
      return isNamed || (await isBehind()) ? [service] : [];
    });
    return (await Promise.all(looks)).flat();
  }

  function note(service: string): void {
    const nonce = changes?.get(service) ?? '';
    const before = looked.get(service);
    looked.set(service, { nonce, times: before?.nonce === nonce ? before.times + 1 : 1 });
  }

  let last = -1;
  await repeat(parts, stopping, 'converging', async (signal, round) => {
    const isAgain = round === last;
    last = round;
    // The first read may miss a deployment that was announced before the queue existed; a second one follows soon.
    if (round < 2) {
      await convergeAll(parts, signal);
      return round === 0 ? LOOK_AGAIN_AFTER : withJitter(LOOK_EVERY);
    }
    // A service that cannot converge keeps the round: the list may change meanwhile, for another one.
    if (isAgain || round % READ_AT_EACH === 0) changes = await parts.changes.read(signal);
    const services = await due();
    const before = new Map(services.map((service) => [service, nonceOf(service)]));
    try {
      await convergeAll(parts, signal, services);
    } finally {
      const isMissed = services.some((service) => nonceOf(service) !== before.get(service));
      if (isMissed) onMissed();
    }
    for (const service of services) note(service);
    return withJitter(LOOK_EVERY);
  });
}

/** Looks at one service after the other, whatever the list of changes says. Runs until `stopping` aborts. */
export async function lookInTurn(parts: LookParts, stopping: AbortSignal): Promise<void> {
  const services = [...parts.workers.keys()];
  if (services.length === 0) return;
  const pause = Math.max(ALL_IN / services.length, TURN_AT_LEAST);
  let next = Math.floor(Math.random() * services.length);
  await repeat(parts, stopping, 'converging', async (signal, round) => {
    if (round > 0) {
      // After a failure, too, it is the turn of the next one.
      next = (next + 1) % services.length;
      await convergeAll(parts, signal, services.slice(next, next + 1));
    }
    return withJitter(pause);
  });
}
