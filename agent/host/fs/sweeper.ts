import { setTimeout as sleep } from 'node:timers/promises';
import { tellLeftover } from './leftovers.ts';

/**
 * Deletions in the background: to delete a large tree takes a minute, and a file system may hang. Nothing waits for
 * them but a work that lacks space. The end of the process ends them; the next start finds what is left.
 */

interface Sweep {
  /** It was asked for again while it ran. */
  again: boolean;
  ended: Promise<void>;
}

const sweeps = new Map<string, Sweep>();
/** How many works wait for space. */
let waiting = 0;

/** A deletion waits in a file system that hangs for as long as the file system does; a work does not. ms */
const WAITS_AT_MOST = 2 * 60_000;
const LOOKS_EVERY = 500; // ms

/**
 * Runs `sweep`, which deletes the leftovers of `directory`, in the background. One runs at a time for each directory;
 * one that runs already runs once more.
 */
export function sweepLater(directory: string, sweep: () => Promise<unknown>): void {
  const running = sweeps.get(directory);
  if (running) {
    running.again = true;
    return;
  }
  const mine: Sweep = { again: true, ended: Promise.resolve() };
  sweeps.set(directory, mine);
  mine.ended = run(directory, mine, sweep);
}

async function run(directory: string, mine: Sweep, sweep: () => Promise<unknown>): Promise<void> {
  try {
    while (mine.again) {
      mine.again = false;
      await sweep();
    }
  } catch (error) {
    tellLeftover(directory, error);
  } finally {
    sweeps.delete(directory);
  }
}

/** Resolves when no deletion is under way. Has no limit. */
export async function swept(): Promise<void> {
  while (sweeps.size > 0) await Promise.all([...sweeps.values()].map(({ ended }) => ended));
}

/** Whether a work waits for the space of what is deleted: deletions then do not pause. */
export function isSpaceAwaited(): boolean {
  return waiting > 0;
}

/**
 * Waits for the deletions that are under way, those of other services too, until `isEnough`. Returns whether it is:
 * false when all have ended, or after two minutes. @throws the reason of `signal`.
 */
export async function untilSwept(isEnough: () => Promise<boolean>, signal?: AbortSignal): Promise<boolean> {
  const end = performance.now() + WAITS_AT_MOST;
  waiting += 1;
  try {
    for (;;) {
      const isLast = sweeps.size === 0 || performance.now() > end;
      if (await isEnough()) return true;
      if (isLast) return false;
      // The timer's own rejection is not the reason of the signal.
      await Promise.race([swept(), sleep(LOOKS_EVERY, undefined, { signal }).catch(() => {})]);
      signal?.throwIfAborted();
    }
  } finally {
    waiting -= 1;
  }
}
