import { DAY } from '../part-of-today.ts';

/** Random numbers that a seed decides: a test prints the seed, and the same seed plays the same again. */

export interface Random {
  /** At least 0, less than `most`; a whole number. */
  below(most: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
  bytes(length: number): Buffer;
}

/** mulberry32: small, and the same everywhere. */
function numbersOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomOf(seed: number): Random {
  const next = numbersOf(seed);
  const below = (most: number) => Math.floor(next() * most);
  return {
    below,
    chance: (probability) => next() < probability,
    pick: <T>(list: readonly T[]) => list[below(list.length)] as T,
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
  };
}

/** The seed of `variable`, or else that of the day: each day plays another part. */
export function seedOfDay(variable: string): number {
  const given = process.env[variable];
  return given === undefined ? DAY : Number(given);
}
