import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LiveMessage } from '../../../../../publisher/console/api.ts';
import type { Connection } from '../../../../../publisher/console/http/answer.ts';
import { ALIVE_MS, writeStream } from '../../../../../publisher/console/http/stream.ts';
import { createWatches, KEPT_MS, type Watches } from '../../../../../publisher/console/looks/watches.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const settled = () => vi.advanceTimersByTimeAsync(0);

/** A subject that counts: its snapshot is the last number that it has shown. */
function counter() {
  let count = 0;
  let tell: ((message: LiveMessage) => void) | undefined;
  const signals: AbortSignal[] = [];
  const message = (): LiveMessage => ({ type: 'alive', at: count });
  return {
    signals,
    open: async (show: (message: LiveMessage) => void, signal: AbortSignal) => {
      signals.push(signal);
      tell = show;
      return { snapshot: message };
    },
    next() {
      count += 1;
      tell?.(message());
    },
  };
}

describe('a watch', () => {
  test('is one for 20 pages, and each hears all that follows its snapshot', async () => {
    const watches = createWatches();
    const { open, next, signals } = counter();
    const heard: string[][] = [];
    for (let i = 0; i < 20; i += 1) {
      const own: string[] = [];
      heard.push(own);
      await watches.join('overview', open, (told) => own.push(told.text()));
    }
    next();
    next();
    expect(signals).toHaveLength(1);
    expect(watches.count()).toBe(1);
    for (const own of heard) expect(own).toEqual(['{"type":"alive","at":1}', '{"type":"alive","at":2}']);
  });

  test('reads again what is not fresh before a page that joins later gets its snapshot', async () => {
    const watches = createWatches();
    let version = 1;
    const freshen = vi.fn(async () => {
      version = 2;
    });
    const open = async () => ({ snapshot: (): LiveMessage => ({ type: 'alive', at: version }), freshen });
    const first = await watches.join('service', open, () => undefined);
    expect(first.snapshot().message).toEqual({ type: 'alive', at: 1 });
    expect(freshen).not.toHaveBeenCalled();
    const second = await watches.join('service', open, () => undefined);
    expect(second.snapshot().message).toEqual({ type: 'alive', at: 2 });
  });

  test('goes on for 10 s after the last page has left, and then ends', async () => {
    const watches = createWatches();
    const { open, signals } = counter();
    const first = await watches.join('overview', open, () => undefined);
    first.leave();
    first.leave();
    await vi.advanceTimersByTimeAsync(KEPT_MS - 1);
    const second = await watches.join('overview', open, () => undefined);
    await vi.advanceTimersByTimeAsync(KEPT_MS);
    expect(signals[0]?.aborted).toBe(false);
    second.leave();
    await vi.advanceTimersByTimeAsync(KEPT_MS);
    expect(signals[0]?.aborted).toBe(true);
    expect(watches.count()).toBe(0);
  });

  test('that cannot be opened is an error for all who wait, and is tried anew by the next', async () => {
    const watches = createWatches();
    const fail = async () => {
      throw new Error('no');
    };
    const both = [1, 2].map(() => watches.join('overview', fail, () => undefined));
    expect(await Promise.allSettled(both)).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
    expect(watches.count()).toBe(0);
    const { open } = counter();
    await watches.join('overview', open, () => undefined);
    expect(watches.count()).toBe(1);
  });

  test('that nobody looks at any more gives way when there are too many', async () => {
    const watches = createWatches();
    const kept = await watches.join('kept', counter().open, () => undefined);
    for (let i = 0; i < 300; i += 1) {
      (await watches.join(`service ${i}`, counter().open, () => undefined)).leave();
    }
    expect(watches.count()).toBeLessThanOrEqual(250);
    expect(vi.getTimerCount()).toBeLessThanOrEqual(250);
    kept.leave();
    await vi.advanceTimersByTimeAsync(KEPT_MS);
    expect(watches.count()).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

/** The connection of a reader that takes `takes` texts, and then none until `read`. */
function reader(takes = Number.POSITIVE_INFINITY) {
  const sent: string[] = [];
  let onSent: (() => void) | undefined;
  let onGone: (() => void) | undefined;
  let left = takes;
  let end: 'open' | 'ended' | 'destroyed' = 'open';
  const close = (how: 'ended' | 'destroyed') => {
    if (end !== 'open') return;
    end = how;
    onGone?.();
  };
  const connection: Connection = {
    write(text) {
      sent.push(text.trim().replace(/^data: /, ''));
      left -= 1;
      return left > 0;
    },
    onSent: (then) => {
      onSent = then;
    },
    end: () => close('ended'),
    destroy: () => close('destroyed'),
    onGone: (then) => {
      onGone = then;
    },
  };
  return {
    connection,
    sent,
    read() {
      left = Number.POSITIVE_INFINITY;
      onSent?.();
    },
    state: () => end,
    leave: () => close('ended'),
  };
}

describe('a stream', () => {
  function write(page: ReturnType<typeof reader>, subject = counter(), more = {}): Watches {
    const watches = createWatches();
    writeStream(page.connection, {
      join: (show) => watches.join('overview', subject.open, show),
      runs: (show) => {
        show([]);
        return () => undefined;
      },
      isAdmitted: async () => true,
      explain: async (error) => ({ code: 'INTERNAL', message: String(error) }),
      now: () => Date.now(),
      ...more,
    });
    return watches;
  }

  test('begins with a snapshot, and says every 15 s that the server is alive', async () => {
    const page = reader();
    write(page);
    await settled();
    expect(page.sent).toEqual(['{"type":"runs","runs":[]}', '{"type":"alive","at":0}']);
    await vi.advanceTimersByTimeAsync(2 * ALIVE_MS);
    expect(page.sent).toHaveLength(4);
  });

  test('to a slow reader drops what follows, and sends a new snapshot when it reads on', async () => {
    const page = reader(2);
    const subject = counter();
    write(page, subject);
    await settled();
    for (let i = 0; i < 1000; i += 1) subject.next();
    expect(page.sent).toHaveLength(2);
    page.read();
    expect(page.sent.slice(2)).toEqual(['{"type":"alive","at":1000}', '{"type":"runs","runs":[]}']);
  });

  test('to a reader that takes nothing for a minute ends', async () => {
    const page = reader(2);
    const watches = write(page);
    await settled();
    await vi.advanceTimersByTimeAsync(5 * ALIVE_MS);
    expect(page.state()).toBe('destroyed');
    await vi.advanceTimersByTimeAsync(KEPT_MS);
    expect(watches.count()).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('ends when the person is not admitted any more', async () => {
    const page = reader();
    write(page, counter(), { isAdmitted: async () => false });
    await vi.advanceTimersByTimeAsync(ALIVE_MS);
    expect(page.state()).toBe('ended');
  });

  test('behind a proxy ends in time, so that the next one is asked who the person is', async () => {
    const page = reader();
    write(page, counter(), { endsAfterMs: 1000 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(page.state()).toBe('ended');
    expect(vi.getTimerCount()).toBe(1);
  });

  test('says why it cannot show anything, and ends', async () => {
    const page = reader();
    const join = async () => {
      throw new Error('no');
    };
    write(page, counter(), { join });
    await settled();
    expect(page.sent.at(-1)).toContain('"type":"trouble"');
    expect(page.state()).toBe('ended');
  });

  test('that was left before its subject was there leaves no timer and no watch', async () => {
    const page = reader();
    const watches = write(page);
    page.leave();
    await settled();
    await vi.advanceTimersByTimeAsync(KEPT_MS);
    expect(watches.count()).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
