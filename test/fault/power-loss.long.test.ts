import { join } from 'node:path';
import { expect, test } from 'vitest';
import { proved } from '../support/reliability.ts';
import { killedPackageJob } from './support/disk/jobs.ts';
import { killThenCut } from './support/disk/power-cuts.ts';
import { quickDirectory } from './support/disk/recording.ts';

/** The part of power-loss.test.ts that takes longest. */

test('what a killed agent left un-synced of an archive, the next one does not build on', async () => {
  const root = await quickDirectory();
  const { job, again } = killedPackageJob('archive', join(root, 'opt', 'payments'));
  const { points } = await killThenCut(job, again, root);
  expect(points).toBeGreaterThan(100);
  proved('power-loss', `archive: ${points} kills, a power cut after the next start of each`);
});
