import { expect, test } from 'vitest';
import { withinUnitHeap } from '../../../../support/host/unit-heap.ts';

test('an archive of 40,000 files is unpacked within the heap that the unit allows', {
  timeout: 300_000,
}, async () => {
  const printed = await withinUnitHeap(
    40_000,
    `await unpack(archive, release, signal);
    let files = 0;
    for await (const entry of below(release)) if (entry.isFile()) files += 1;
    console.log(files);`,
  );
  expect(printed).toBe('40000\n');
});
