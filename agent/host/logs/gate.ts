import { childController, orAborted } from '../../../shared/abort.ts';
import type { Clock } from '../../../shared/clock.ts';

/**
 * Lets one upload through at a time, those of all services together: so one part is in memory at most. Regular uploads
 * keep to the bandwidth, pause while a deployment runs, and end when last logs are uploaded.
 */
export interface Gate {
  /**
   * Runs a regular round. Returns false if it was ended for last logs. @throws what `work` throws; the reason of `signal`.
   */
  round(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<boolean>;
  /** Runs a round of last logs: regular rounds end, and none begins. */
  lastRound<T>(work: () => Promise<T>): Promise<T>;
  /** Waits for the turn of a regular upload; undefined if there is none now. */
  regular(signal: AbortSignal): Promise<Turn | undefined>;
  /** Waits for the turn of an upload of last logs. */
  last(signal: AbortSignal): Promise<Turn>;
}

export interface Turn {
  spend(bytes: number): void;
  release(): void;
}

export function createGate({
  bytesPerSecond,
  clock,
  isBusy,
}: {
  bytesPerSecond: number;
  clock: Pick<Clock, 'monotonic' | 'sleep'>;
  /** Whether a deployment runs. */
  isBusy: () => boolean;
}): Gate {
  /** A token bucket that one upload may overdraw: until then the next one waits. */
  let paidAt = Number.NEGATIVE_INFINITY;
  let lastRounds = 0;
  let idle: Promise<unknown> = Promise.resolve();
  const rounds = new Set<AbortController>();
  const isClosed = () => lastRounds > 0 || isBusy();

  async function turn(signal: AbortSignal): Promise<Turn> {
    const before = idle;
    const { promise: ended, resolve: release } = Promise.withResolvers<void>();
    idle = before.then(() => ended);
    try {
      await orAborted(before, signal);
    } catch (error) {
      release();
      throw error;
    }
    return {
      spend(bytes) {
        paidAt = Math.max(paidAt, clock.monotonic()) + (bytes / bytesPerSecond) * 1000;
      },
      release,
    };
  }

  return {
    async round(work, signal) {
      if (isClosed()) return false;
      const { controller, release } = childController(signal);
      rounds.add(controller);
      try {
        await work(controller.signal);
        return true;
      } catch (error) {
        signal.throwIfAborted();
        if (controller.signal.aborted) return false;
        throw error;
      } finally {
        rounds.delete(controller);
        release();
      }
    },
    async lastRound(work) {
      lastRounds += 1;
      for (const round of rounds) round.abort(new Error('last logs are uploaded'));
      try {
        return await work();
      } finally {
        lastRounds -= 1;
      }
    },
    async regular(signal) {
      if (isClosed()) return undefined;
      const taken = await turn(signal);
      try {
        const ms = paidAt - clock.monotonic();
        if (ms > 0) await clock.sleep(ms, signal);
      } catch (error) {
        taken.release();
        throw error;
      }
      if (!isClosed()) return taken;
      taken.release();
      return undefined;
    },
    last: turn,
  };
}
