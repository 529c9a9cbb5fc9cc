import { expect, test } from 'vitest';
import { newestIds } from '../../../../publisher/record/newest-ids.ts';
import type { Objects } from '../../../../publisher/record/objects.ts';
import { newUlid, ulid } from '../../../../shared/names.ts';

const NOW = Date.parse('2026-11-28T08:00:00Z');
const HOUR = 3_600_000;

/** A bucket with these folders; counts the answers of S3, with 1000 names each. */
function bucket(folders: readonly string[]) {
  const sorted = folders.toSorted((a, b) => (a < b ? -1 : 1));
  const asked = { answers: 0 };
  const objects: Pick<Objects, 'folders' | 'someFolders'> = {
    async folders(_prefix, { after = '', until } = {}) {
      const names = sorted.filter((name) => name > after && `${name}/` > after);
      const wanted = until === undefined ? names : names.filter((name) => name < until);
      asked.answers += Math.max(1, Math.ceil(wanted.length / 1000));
      return wanted;
    },
    async someFolders() {
      asked.answers += 1;
      return { names: sorted.slice(0, 1000), more: sorted.length > 1000 };
    },
  };
  return { asked, ids: () => newestIds(objects as Objects, 'dev', 'payments', () => NOW) };
}

/** Ids an hour apart, the last one an hour ago. */
const hourly = (count: number) => Array.from({ length: count }, (_, i) => newUlid(NOW - (i + 1) * HOUR));

async function all(pieces: AsyncIterable<string[]>): Promise<string[]> {
  const found: string[] = [];
  for await (const piece of pieces) found.push(...piece);
  return found;
}

test.each([0, 1, 999, 1000, 1001, 5000])(
  'a history of %i ids is returned whole, the newest first',
  async (count) => {
    const made = hourly(count);
    expect(await all(bucket(made).ids())).toEqual(made);
  },
);

test('ids of the same time, of long ago and of the future, and names that are no ids, hide none', async () => {
  const same = Array.from({ length: 1500 }, () => newUlid(NOW - HOUR));
  const old = Array.from({ length: 1200 }, (_, i) => newUlid(i));
  const future = Array.from({ length: 300 }, (_, i) => newUlid(NOW + (i + 2) * HOUR));
  const made = [...same, ...old, ...future, ...hourly(700)];
  const found = await all(
    bucket([...made, '0', 'zzz', '01', ...Array.from({ length: 50 }, (_, i) => `x${i}`)]).ids(),
  );
  expect(found).toEqual(made.toSorted((a, b) => (a < b ? 1 : -1)));
  expect(found.every((id) => ulid.safeParse(id).success)).toBe(true);
});

test('a thousand names before the first of all ids hide none, and the reading ends', async () => {
  const made = hourly(5);
  const before = Array.from({ length: 1200 }, (_, i) => `!${i}`);
  const { asked, ids } = bucket([...made, ...before]);
  expect(await all(ids())).toEqual(made);
  expect(asked.answers).toBeLessThan(20);
});

test('all ids of the future are in the first piece', async () => {
  const future = Array.from({ length: 2000 }, (_, i) => newUlid(NOW + (i + 2) * HOUR));
  const { value } = await bucket([...hourly(3000), ...future])
    .ids()
    .next();
  expect(value?.slice(0, 2000)).toEqual(future.toReversed());
});

test('the newest of 5,000 take two answers of S3', async () => {
  const made = hourly(5000);
  const { asked, ids } = bucket(made);
  const { value = [] } = await ids().next();
  expect(value.length).toBeGreaterThan(256);
  expect(value).toEqual(made.slice(0, value.length));
  expect(asked.answers).toBe(2);
});
