import { mapLimit } from './map-limit.ts';
import type { PauseChange, Pauses } from './pauses.ts';

/** A pause or an unpause of the past; without `service`, of the whole environment. */
export interface PastPause extends PauseChange {
  service?: string | undefined;
}

const READS = 32;

/**
 * The pauses and unpauses of the environment and of `services` between two times (ms since the epoch, the end excluded), the
 * newest first. The record keeps the newest 50 of each. @throws AWS_*.
 */
export async function pastPauses(
  pauses: Pick<Pauses, 'changes'>,
  services: readonly string[],
  { since, until }: { since: number; until: number },
): Promise<PastPause[]> {
  const all = await mapLimit([undefined, ...services], READS, async (service) =>
    (await pauses.changes(service)).map((change): PastPause => ({ ...change, ...(service && { service }) })),
  );
  const isWithin = ({ at }: PastPause) => Date.parse(at) >= since && Date.parse(at) < until;
  return all
    .flat()
    .filter(isWithin)
    .sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
}
