import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { formatMs } from '../../../shared/duration.ts';
import { isCode } from '../../../shared/errors.ts';
import { backoffMs, deadline, retry } from '../../../shared/retry.ts';
import { sleepingClock } from '../../support/host/clock.ts';

const BACKOFF = { first: 500, longest: 60_000 };

describe('backoffMs', () => {
  test('each pause lies between half its ceiling and its ceiling, and no ceiling is above the longest', () => {
    fc.assert(
      fc.property(
        fc.nat(5000),
        fc.record({
          first: fc.integer({ min: 1, max: 5000 }),
          longest: fc.integer({ min: 1, max: 100_000 }),
        }),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        (attempt, backoff, chance) => {
          const ceiling = Math.min(backoff.longest, backoff.first * 2 ** attempt);
          const pause = backoffMs(attempt, backoff, () => chance);
          expect(pause).toBeGreaterThanOrEqual(Math.floor(ceiling / 2));
          expect(pause).toBeLessThanOrEqual(Math.ceil(ceiling));
        },
      ),
    );
  });

  test('it doubles from the first to the longest', () => {
    const pauses = [0, 1, 2, 3, 6, 7, 8, 1000].map((attempt) =>
      backoffMs(attempt, BACKOFF, () => 0.999_999_9),
    );
    expect(pauses).toEqual([500, 1000, 2000, 4000, 32_000, 60_000, 60_000, 60_000]);
  });

  test('a thousand agents do not retry in step', () => {
    const pauses = Array.from({ length: 1000 }, () => backoffMs(10, BACKOFF));
    expect(new Set(pauses).size).toBeGreaterThan(900);
  });
});

describe('with a fake clock', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  describe('deadline', () => {
    test('aborts with TIMEOUT once the time is over, and not before', () => {
      using bound = deadline(5000, new AbortController().signal, 'the http check');
      vi.advanceTimersByTime(4999);
      expect([bound.signal.aborted, bound.expired()]).toEqual([false, false]);
      vi.advanceTimersByTime(1);
      expect([bound.signal.aborted, bound.expired()]).toEqual([true, true]);
      expect(isCode(bound.signal.reason, 'TIMEOUT')).toBe(true);
      expect((bound.signal.reason as Error).message).toBe('the http check took longer than 5.0 s');
    });

    test('aborts with its parent, for the reason of its parent, and has not expired', () => {
      const parent = new AbortController();
      using bound = deadline(5000, parent.signal, 'it');
      const reason = new Error('stop');
      parent.abort(reason);
      expect(bound.signal.reason).toBe(reason);
      expect(bound.expired()).toBe(false);
    });

    test('of a parent that has aborted is aborted from the start', () => {
      const reason = new Error('stop');
      using bound = deadline(5000, AbortSignal.abort(reason), 'it');
      expect(bound.signal.reason).toBe(reason);
    });

    test('leaves no timer behind when it is disposed of', () => {
      {
        using bound = deadline(5000, new AbortController().signal, 'it');
        expect(bound.expired()).toBe(false);
        expect(vi.getTimerCount()).toBe(1);
      }
      expect(vi.getTimerCount()).toBe(0);
    });

    test('does not abort with its parent once it is disposed of', () => {
      const parent = new AbortController();
      const bound = deadline(5000, parent.signal, 'it');
      bound[Symbol.dispose]();
      parent.abort(new Error('stop'));
      expect(bound.signal.aborted).toBe(false);
    });
  });
});

describe('retry', () => {
  const QUICK = { first: 1, longest: 1, attempts: 4, retryable: () => true };
  const never = () => new AbortController().signal;

  test('runs work that succeeds once', async () => {
    const tries: number[] = [];
    const result = await retry(async (attempt) => tries.push(attempt), { ...QUICK, signal: never() });
    expect([result, tries]).toEqual([1, [0]]);
  });

  test('runs work that fails again, with the number of the try', async () => {
    const tries: number[] = [];
    const work = async (attempt: number) => {
      tries.push(attempt);
      if (attempt < 2) throw new Error('not yet');
      return 'done';
    };
    expect(await retry(work, { ...QUICK, signal: never() })).toBe('done');
    expect(tries).toEqual([0, 1, 2]);
  });

  test('throws the last error after the last try', async () => {
    let tries = 0;
    const work = async () => {
      tries += 1;
      throw new Error(`failure ${tries}`);
    };
    await expect(retry(work, { ...QUICK, signal: never() })).rejects.toThrow('failure 4');
    expect(tries).toBe(4);
  });

  test('does not try again after an error that is not retryable', async () => {
    let tries = 0;
    const work = async () => {
      tries += 1;
      throw new Error('denied');
    };
    const retryable = (error: unknown) => !(error as Error).message.includes('denied');
    await expect(retry(work, { ...QUICK, retryable, signal: never() })).rejects.toThrow('denied');
    expect(tries).toBe(1);
  });

  test('throws the reason of an abort during the pause, at once', async () => {
    const controller = new AbortController();
    let tries = 0;
    const work = async () => {
      tries += 1;
      queueMicrotask(() => setImmediate(() => controller.abort(new Error('the agent stops'))));
      throw new Error('not yet');
    };
    const pause = { first: 3_600_000, longest: 3_600_000 };
    await expect(retry(work, { ...QUICK, ...pause, signal: controller.signal })).rejects.toThrow(
      'the agent stops',
    );
    expect(tries).toBe(1);
  });

  test('does not try again after an abort during a try', async () => {
    const controller = new AbortController();
    let tries = 0;
    const work = async () => {
      tries += 1;
      controller.abort(new Error('the agent stops'));
      controller.signal.throwIfAborted();
    };
    await expect(retry(work, { ...QUICK, signal: controller.signal })).rejects.toThrow('the agent stops');
    expect(tries).toBe(1);
  });

  test('does not try again once `forMs` have passed since the first failure', async () => {
    const clock = sleepingClock();
    let tries = 0;
    const work = async () => {
      tries += 1;
      throw new Error('not yet');
    };
    const options = { first: 1000, longest: 1000, forMs: 5000, clock, retryable: () => true };
    await expect(retry(work, { ...options, signal: never() })).rejects.toThrow('not yet');
    expect(clock.monotonic()).toBeGreaterThanOrEqual(5000);
    expect(clock.monotonic()).toBeLessThan(6000);
    expect(tries).toBeGreaterThan(5);
  });

  test('begins to count anew after a try that got further', async () => {
    const counted: number[] = [];
    const progress = [false, false, true, false, false, false];
    let tries = 0;
    const work = async () => {
      tries += 1;
      throw new Error('not yet');
    };
    const options = {
      ...{ ...QUICK, attempts: 3, signal: never() },
      hasProgressed: () => progress[tries - 1] ?? false,
      onRetry: (_error: unknown, { failures }: { failures: number }) => counted.push(failures),
    };
    await expect(retry(work, options)).rejects.toThrow('not yet');
    expect(counted).toEqual([1, 2, 0, 1, 2]);
  });

  test('pauses for as long as the error asks for, and calls onRetry before', async () => {
    const clock = sleepingClock();
    const pauses: number[] = [];
    const work = async (attempt: number) => {
      if (attempt < 2) throw new Error(String(attempt));
    };
    await retry(work, {
      ...{ ...QUICK, clock, signal: never() },
      pauseMs: (error) => ((error as Error).message === '0' ? 60_000 : undefined),
      onRetry: (_error, { pauseMs }) => pauses.push(pauseMs),
    });
    expect(pauses).toEqual([60_000, 1]);
    expect(clock.monotonic()).toBe(60_001);
  });

  test('makes one try after an abort when asked to, and no other', async () => {
    let tries = 0;
    const signal = AbortSignal.abort(new Error('too late'));
    const work = async () => {
      tries += 1;
      throw new Error('not yet');
    };
    await expect(retry(work, { ...QUICK, signal, alwaysTryOnce: true })).rejects.toThrow('not yet');
    expect(tries).toBe(1);
  });

  test('tries nothing after an abort', async () => {
    let tries = 0;
    const signal = AbortSignal.abort(new Error('too late'));
    await expect(retry(async () => (tries += 1), { ...QUICK, signal })).rejects.toThrow('too late');
    expect(tries).toBe(0);
  });
});

describe('formatMs', () => {
  test.each<[number, string]>([
    [0, '0 ms'],
    [0.4, '0 ms'],
    [800, '800 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [4200, '4.2 s'],
    [9949, '9.9 s'],
    [9999, '10 s'],
    [12_400, '12 s'],
    [59_499, '59 s'],
    [59_999, '1 min'],
    [60_000, '1 min'],
    [119_499, '1 min 59 s'],
    [119_999, '2 min'],
    [200_000, '3 min 20 s'],
    [3_600_000, '60 min'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatMs(ms)).toBe(text);
  });

  test('never speaks of 60 seconds, or of 1000 ms', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 10_000_000, noNaN: true }), (ms) => {
        expect(formatMs(ms)).not.toMatch(/\b(60 s|1000 ms|10\.0 s)/);
      }),
    );
  });
});
