import { describe, expect, test } from 'vitest';
import type { Journal } from '../../../../agent/deploy/ports.ts';
import { initialState, type ServiceState } from '../../../../agent/deploy/state.ts';
import { createStateStore } from '../../../../agent/deploy/state-store.ts';
import { withSequence, withTombstone } from '../../../../agent/deploy/state-transitions.ts';
import { newUlid } from '../../../../shared/names.ts';

const BEFORE = initialState('i-1', 'payments');
const IDS = [1, 2, 3].map(newUlid) as [string, string, string];

/** A journal whose writes end when the test says so. */
function slowJournal() {
  const writes: { state: ServiceState; done: () => void; fail: (error: Error) => void }[] = [];
  const begun = new Map<number, () => void>();
  const journal: Journal = {
    load: async () => ({ state: undefined, quarantined: undefined }),
    append(state) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      writes.push({ state, done: resolve, fail: reject });
      begun.get(writes.length)?.();
      return promise;
    },
  };
  return {
    journal,
    writes,
    /** The n-th write, once it has begun. */
    async write(n: number) {
      const { promise, resolve } = Promise.withResolvers<void>();
      begun.set(n, resolve);
      if (writes.length >= n) resolve();
      await promise;
      const found = writes[n - 1];
      if (!found) throw new Error(`write ${n} has not begun`);
      return found;
    },
  };
}

/** A journal that writes at once, or fails as often as set. */
function journalOf(failures: Error[] = []) {
  const written: ServiceState[] = [];
  const journal: Journal = {
    load: async () => ({ state: undefined, quarantined: undefined }),
    async append(state) {
      const failure = failures.shift();
      if (failure) throw failure;
      written.push(state);
    },
  };
  return { journal, written };
}

const cancel = (id: string) => (state: ServiceState) => withTombstone(state, id);

describe('a change', () => {
  test('is on disk before it can be read', async () => {
    const { journal, write } = slowJournal();
    const store = createStateStore(BEFORE, journal);
    const change = store.update(cancel(IDS[0]));
    const { state, done } = await write(1);
    expect(state.tombstones).toEqual([IDS[0]]);
    expect(store.read()).toBe(BEFORE);
    done();
    expect(await change).toBe(store.read());
    expect(store.read().tombstones).toEqual([IDS[0]]);
  });

  test('that cannot be written leaves the state unchanged, and throws the reason', async () => {
    const full = new Error('ENOSPC');
    const { journal, written } = journalOf([full]);
    const store = createStateStore(BEFORE, journal);
    await expect(store.update(cancel(IDS[0]))).rejects.toBe(full);
    expect(store.read()).toBe(BEFORE);
    expect(written).toEqual([]);
  });

  test('after one that could not be written does not contain it', async () => {
    const { journal, written } = journalOf([new Error('ENOSPC')]);
    const store = createStateStore(BEFORE, journal);
    const first = store.update(cancel(IDS[0]));
    const next = store.update(cancel(IDS[1]));
    await expect(first).rejects.toThrow('ENOSPC');
    expect((await next).tombstones).toEqual([IDS[1]]);
    expect(written.map((state) => state.tombstones)).toEqual([[IDS[1]]]);
  });

  test('that throws changes and writes nothing, and does not block the next', async () => {
    const { journal, written } = journalOf();
    const store = createStateStore(BEFORE, journal);
    const bad = store.update(() => {
      throw new Error('a bug');
    });
    const good = store.update(cancel(IDS[0]));
    await expect(bad).rejects.toThrow('a bug');
    await good;
    expect(store.read().tombstones).toEqual([IDS[0]]);
    expect(written).toHaveLength(1);
  });

  test('that changes nothing is not written', async () => {
    const { journal, written } = journalOf();
    const store = createStateStore(BEFORE, journal);
    expect(await store.update((state) => state)).toBe(BEFORE);
    expect(written).toEqual([]);
  });
});

describe('concurrent changes', () => {
  test('are made one after another, each on the result of the one before', async () => {
    const { journal, write, writes } = slowJournal();
    const store = createStateStore(BEFORE, journal);
    const changes = Promise.all(IDS.map((id) => store.update(cancel(id))));
    for (const n of [1, 2, 3]) {
      const { done } = await write(n);
      expect(writes).toHaveLength(n);
      expect(store.read().tombstones).toEqual(IDS.slice(0, n - 1));
      done();
    }
    expect((await changes).map((state) => state.tombstones.length)).toEqual([1, 2, 3]);
    expect(store.read().tombstones).toEqual(IDS);
  });

  test('see what the one before wrote', async () => {
    const { journal } = journalOf();
    const store = createStateStore(BEFORE, journal);
    const first = store.update((state) => withSequence(state, 5, IDS[0]));
    const second = store.update((state) => withSequence(state, 4, IDS[1]));
    await Promise.all([first, second]);
    expect(store.read().seen).toEqual({ sequence: 5, deployment: IDS[0] });
  });

  test('are all made except the one that fails on disk', async () => {
    const { journal, write } = slowJournal();
    const store = createStateStore(BEFORE, journal);
    const results = Promise.allSettled(IDS.map((id) => store.update(cancel(id))));
    (await write(1)).done();
    (await write(2)).fail(new Error('EIO'));
    (await write(3)).done();
    expect((await results).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(store.read().tombstones).toEqual([IDS[0], IDS[2]]);
  });
});
