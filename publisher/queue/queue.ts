import { z } from 'zod';
import { ulid } from '../../shared/names.ts';

/**
 * The line of those that wait to change a service: who is next. Pure. It is a courtesy among publishers, kept by
 * conditional writes; what two of them may never do at once, the lock alone forbids.
 */

const waiting = z.looseObject({
  /** The deployment that it will be. */
  id: ulid,
  /** `issuedBy`. */
  who: z.string(),
  host: z.string(),
  pid: z.int(),
  /** The verb, and what it is to bring. */
  command: z.string(),
  version: z.string().optional(),
  since: z.iso.datetime(),
  /** Counts up while its publisher lives. */
  beat: z.int().min(0),
  /** Why it went to the front. */
  jumped: z.string().optional(),
});
export type Waiting = z.infer<typeof waiting>;

export const lineDocument = z.looseObject({
  v: z.literal(1),
  nonce: z.string(),
  /** The next one first. */
  waiting: z.array(waiting),
});

/** The next one first; each id once. */
export type Line = readonly Waiting[];

/** At the end, or with `jumped` at the front. Who stands in it already keeps its place. */
export function join(line: Line, one: Waiting): Line {
  if (line.some(({ id }) => id === one.id)) return line;
  return one.jumped === undefined ? [...line, one] : [one, ...line];
}

export const leave = (line: Line, id: string): Line => line.filter((one) => one.id !== id);

export const beat = (line: Line, id: string): Line =>
  line.map((one) => (one.id === id ? { ...one, beat: one.beat + 1 } : one));

export const dropDead = (line: Line, dead: ReadonlySet<string>): Line =>
  line.filter(({ id }) => !dead.has(id));

/** Those before `id`, the next one first; undefined when it is not in the line. */
export function aheadOf(line: Line, id: string): Line | undefined {
  const place = line.findIndex((one) => one.id === id);
  return place === -1 ? undefined : line.slice(0, place);
}

/**
 * Since when each of the waiting has not moved, on the clock of whoever looks: who beats shows other bytes, whatever
 * the clocks of the machines say.
 */
export type Sightings = ReadonlyMap<string, { beat: number; first: number }>;

/** After a look at `now`, ms on a clock that never jumps. */
export function sighted(before: Sightings, line: Line, now: number): Sightings {
  return new Map(
    line.map(({ id, beat: seen }) => {
      const known = before.get(id);
      return [id, known?.beat === seen ? known : { beat: seen, first: now }];
    }),
  );
}

/** Who has been seen without a sign of life for `staleMs`; never `self`. */
export function deadIn(
  sightings: Sightings,
  { now, staleMs, self }: { now: number; staleMs: number; self?: string | undefined },
): ReadonlySet<string> {
  const dead = [...sightings].filter(([id, { first }]) => id !== self && now - first >= staleMs);
  return new Set(dead.map(([id]) => id));
}
