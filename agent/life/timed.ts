import type { Clock } from '../../shared/clock.ts';
import { formatMs } from '../../shared/duration.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { aborted, orLeft, untilTime } from '../deploy/abandon.ts';

/** How long work may take to answer the end of its time, ms. */
const ANSWERS_WITHIN = 2000;

/**
 * Runs `work`, whose signal aborts with TIMEOUT after `ms`, and with `parent`. Work that does not answer is left soon
 * after. @throws what `work` throws; TIMEOUT.
 */
export async function timed<T>(
  clock: Clock,
  ms: number,
  what: string,
  parent: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  parent.throwIfAborted();
  const limit = new AbortController();
  const signal = AbortSignal.any([parent, limit.signal]);
  const late = new TriggerDeployError('TIMEOUT', `${what} did not end within ${formatMs(ms)}`);
  const end = clock.monotonic() + ms;
  return await orLeft(work(signal), async (settled) => {
    const waiting = AbortSignal.any([settled, parent]);
    await untilTime(clock, () => end, waiting).catch(() => settled.throwIfAborted());
    if (!parent.aborted) limit.abort(late);
    await aborted(signal, settled);
    const left = clock.monotonic() + ANSWERS_WITHIN;
    await untilTime(clock, () => left, settled);
    return late;
  });
}
