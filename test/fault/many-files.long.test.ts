import { expect, test } from 'vitest';
import { withinUnitHeap } from '../support/host/unit-heap.ts';

test('a release of as many files as there may be is made, compared and removed within the heap of the unit', async () => {
  const printed = await withinUnitHeap(
    100_000,
    `await unpack(archive, release, { name: 'archive', allowsLink: () => false, signal });
    let files = 0;
    for await (const entry of walkTree(release)) if (entry.isFile()) files += 1;
    await syncTree(release);
    console.log(files, (await treeDigest(release, signal)).length);
    await removeTree(release);`,
  );
  expect(printed).toBe('100000 64\n');
  // Two minutes on an idle machine; beside other long tests several times that.
}, 1_800_000);
