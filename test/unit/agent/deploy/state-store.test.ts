import { describe, expect, test } from 'vitest';
import type { Journal } from '../../../../agent/deploy/ports.ts';
import { initialState, raised, type ServiceState, tombstoned } from '../../../../agent/deploy/state.ts';
import { createStateCell } from '../../../../agent/deploy/state-store.ts';
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

/** A journal that writes at once, or fails as often as told. */
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

const cancel = (id: string) => (state: ServiceState) => tombstoned(state, id);

describe('a change', () => {
  test('is on disk before anybody can read it', async () => {
    const { journal, write } = slowJournal();
    const cell = createStateCell(BEFORE, journal);
    const change = cell.update(cancel(IDS[0]));
    const { state, done } = await write(1);
    expect(state.tombstones).toEqual([IDS[0]]);
    expect(cell.read()).toBe(BEFORE);
    done();
    expect(await change).toBe(cell.read());
    expect(cell.read().tombstones).toEqual([IDS[0]]);
  });

  test('that cannot be written leaves the state as before, and says why', async () => {
    const full = new Error('ENOSPC');
    const { journal, written } = journalOf([full]);
    const cell = createStateCell(BEFORE, journal);
    await expect(cell.update(cancel(IDS[0]))).rejects.toBe(full);
    expect(cell.read()).toBe(BEFORE);
    expect(written).toEqual([]);
  });

  test('after one that could not be written knows nothing of it', async () => {
    const { journal, written } = journalOf([new Error('ENOSPC')]);
    const cell = createStateCell(BEFORE, journal);
    const first = cell.update(cancel(IDS[0]));
    const next = cell.update(cancel(IDS[1]));
    await expect(first).rejects.toThrow('ENOSPC');
    expect((await next).tombstones).toEqual([IDS[1]]);
    expect(written.map((state) => state.tombstones)).toEqual([[IDS[1]]]);
  });

  test('that throws changes nothing, writes nothing and stops nobody', async () => {
    const { journal, written } = journalOf();
    const cell = createStateCell(BEFORE, journal);
    const bad = cell.update(() => {
      throw new Error('a bug');
    });
    const good = cell.update(cancel(IDS[0]));
    await expect(bad).rejects.toThrow('a bug');
    await good;
    expect(cell.read().tombstones).toEqual([IDS[0]]);
    expect(written).toHaveLength(1);
  });

  test('of nothing is not written', async () => {
    const { journal, written } = journalOf();
    const cell = createStateCell(BEFORE, journal);
    expect(await cell.update((state) => state)).toBe(BEFORE);
    expect(written).toEqual([]);
  });
});

describe('changes at the same time', () => {
  test('are made one after another, each upon the one before', async () => {
    const { journal, write, writes } = slowJournal();
    const cell = createStateCell(BEFORE, journal);
    const changes = Promise.all(IDS.map((id) => cell.update(cancel(id))));
    for (const n of [1, 2, 3]) {
      const { done } = await write(n);
      expect(writes).toHaveLength(n);
      expect(cell.read().tombstones).toEqual(IDS.slice(0, n - 1));
      done();
    }
    expect((await changes).map((state) => state.tombstones.length)).toEqual([1, 2, 3]);
    expect(cell.read().tombstones).toEqual(IDS);
  });

  test('see what the one before wrote, and decide by it', async () => {
    const { journal } = journalOf();
    const cell = createStateCell(BEFORE, journal);
    const first = cell.update((state) => raised(state, 5, IDS[0]));
    const second = cell.update((state) => raised(state, 4, IDS[1]));
    await Promise.all([first, second]);
    expect(cell.read().seen).toEqual({ sequence: 5, deployment: IDS[0] });
  });

  test('of which one fails on disk are otherwise all made', async () => {
    const { journal, write } = slowJournal();
    const cell = createStateCell(BEFORE, journal);
    const results = Promise.allSettled(IDS.map((id) => cell.update(cancel(id))));
    (await write(1)).done();
    (await write(2)).fail(new Error('EIO'));
    (await write(3)).done();
    expect((await results).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(cell.read().tombstones).toEqual([IDS[0], IDS[2]]);
  });
});
