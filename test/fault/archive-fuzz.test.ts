import { expect, test } from 'vitest';
import { fuzzArchives } from '../support/host/archive-fuzz-run.ts';
import { proved } from '../support/reliability.ts';
import { seedOfDay } from '../support/shared/random.ts';

const SEED = 'TRIGGER_DEPLOY_ARCHIVE_SEED';
const CASES = Number(process.env.TRIGGER_DEPLOY_ARCHIVE_CASES ?? 150);

test('whatever the bytes of an archive are, it becomes what tar makes of it, or is refused in clear words, within the memory of the unit', async () => {
  const seed = seedOfDay(SEED);
  const { faults, unpacked, refused, memory, longest } = await fuzzArchives(seed, 0, CASES);
  expect(faults, `${SEED}=${seed} repeats it`).toEqual([]);
  expect(Math.min(unpacked, refused), 'both happen').toBeGreaterThan(CASES / 10);
  const figure = `${CASES} random archives: ${unpacked} as \`tar -x\` unpacks them, ${refused} refused`;
  proved(
    'archive-bytes',
    `${figure}; ${longest} ms at most, ${Math.round(memory / 1024)} MiB resident at most`,
  );
});
