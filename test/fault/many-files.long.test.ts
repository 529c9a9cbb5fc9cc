import { expect, test } from 'vitest';
import { withinUnitHeap } from '../support/host/unit-heap.ts';

test('a release of as many files as there may be is made, compared and removed within the heap of the unit', async () => {
  const printed = await withinUnitHeap(
    100_000,
    `await unpack(archive, release, signal);
    await settleTree(release);
    console.log((await treeDigest(release, signal)).length);
    await removeTree(release);`,
  );
  expect(printed).toBe('64\n');
});
